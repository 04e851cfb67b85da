"""Programs that PyPI does not bring, and the packages that do."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


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


MPIEXEC = Need("mpiexec", "openmpi-bin")
JAVA = Need("java", "openjdk-17-jre-headless")
REDIS = Need("redis-server", "redis-server")
WRK = Need("wrk", "wrk")


def missing(needs: tuple[Need, ...]) -> str | None:
    """A line for all of them, or None if nothing is missing."""
    return "; ".join(line for need in needs if (line := need.missing)) or None
