"""Where, when and with what a run of the benchmark was made."""

import datetime as dt
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.cpus import CPUS
from benchmarks.needs import FLINK, TENSORFLOW, WRK
from benchmarks.workloads import QUICK, Effort

PACKAGES = ("ray", "fastapi", "uvicorn", "gmpy2", "distributed", "pyzmq", "litserve", "locust", "mpi4py", "openmpi",
            "pyspark", "celery")  # fmt: skip


def about(effort: Effort, seconds: float) -> dict[str, str]:
    """What the report begins with."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)  # noqa: S607 (git is where PATH says)
    options = [" QUICK=1"] if effort is QUICK else []
    versions = [*map(_version, PACKAGES), FLINK.version, TENSORFLOW.version]
    options += [" PEERS=all"] if "all" in sys.argv else []
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "commit": commit.stdout.strip() or "unknown",
        "command": "make bench" + "".join(options),
        "machine": f"{CPUS} of {os.cpu_count()} CPUs, {_cpu_model()}, {platform.system()} {_kernel()}",
        "load average": "{:.1f} {:.1f} {:.1f} over 1, 5 and 15 minutes, at the end".format(*os.getloadavg()),
        "load generator": "locust" if WRK.missing else "wrk; locust for (g)",
        "versions": f"Python {platform.python_version()}, " + ", ".join(filter(None, versions)),
        "rounds": f"{effort.visits} visits to each peer; rounds in each after a warm-up: {effort.repeats}; "
        f"median (least-greatest); {seconds:.0f} s in all",
    }


def _kernel() -> str:
    """Its major and minor version; the rest says whose build it is."""
    return ".".join(platform.release().split(".")[:2])


def _version(package: str) -> str | None:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
