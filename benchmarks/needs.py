"""What some peers need besides this environment: programs that PyPI does not bring, environments of their own."""

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[1] / ".venv"


@dataclass(frozen=True)
class Need:
    """A program of a package of the system."""

    name: str
    package: str
    """Debian's name of it."""

    @property
    def program(self) -> str:
        """Where it is: in this environment, or in the system; its bare name if it is missing."""
        here = Path(sys.executable).parent
        return shutil.which(self.name, path=str(here)) or shutil.which(self.name) or self.name

    @property
    def missing(self) -> str | None:
        """A line that says so and names the package, or None."""
        if shutil.which(self.program):
            return None
        return f"{self.name} is missing (Debian: apt install {self.package})"


@dataclass(frozen=True)
class OwnEnvironment:
    """The environment that ``set_up NAME`` makes, for a peer whose pins conflict with the others'."""

    name: str
    package: str
    """What it is for."""

    @property
    def python(self) -> str:
        return str(ENVIRONMENTS / self.name / "bin/python")

    @property
    def version(self) -> str | None:
        """The package and its version, or None where it is not installed."""
        folders = [str(path) for path in ENVIRONMENTS.glob(f"{self.name}/lib/python*/site-packages")]
        return next(
            (f"{self.package} {found.version}" for found in distributions(name=self.package, path=folders)), None
        )

    @property
    def missing(self) -> str | None:
        """A line that says so, or None."""
        return None if self.version else f"{self.package} could not be installed in .venv/{self.name}"


MPIEXEC = Need("mpiexec", "openmpi-bin")
JAVA = Need("java", "openjdk-17-jre-headless")
REDIS = Need("redis-server", "redis-server")
WRK = Need("wrk", "wrk")
FLINK = OwnEnvironment("bench-flink", "apache-flink")
TENSORFLOW = OwnEnvironment("bench-tensorflow", "tensorflow-cpu" if platform.machine() == "x86_64" else "tensorflow")


Requirement = Need | OwnEnvironment


def missing(needs: tuple[Requirement, ...]) -> str | None:
    """A line for all of them, or None if nothing is missing."""
    return "; ".join(line for need in needs if (line := need.missing)) or None
