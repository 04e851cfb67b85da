"""Clones of this working tree, and make run in them as a person does."""

import csv
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_AN_OUTER_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR"}
SET_UP_SECONDS = 300


def clone_to(folder: Path) -> Path:
    """What a fresh clone has, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def shell(**variables: str) -> dict[str, str]:
    """A person's environment with these variables."""
    return {name: value for name, value in os.environ.items() if name not in OF_AN_OUTER_MAKE} | variables


def make(clone: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run make to its end, with stderr in stdout."""
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=clone, env=shell(**variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=SET_UP_SECONDS, check=False,
    )  # fmt: skip


def start_make(clone: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start make in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        ["make", "--no-print-directory", *arguments],
        cwd=clone, env=shell(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
    )  # fmt: skip


def site_packages(clone: Path) -> Path:
    """Where packages are, whatever the Python is called."""
    return next(clone.glob(".venv/lib/python*/site-packages"), clone / "nowhere")


def missing_files(clone: Path) -> list[str]:
    """What packages should have, by their own records, and do not."""
    packages = site_packages(clone)
    records = list(packages.glob("*.dist-info/RECORD"))
    assert len(records) > 100
    return [
        row[0]
        for record in records
        for row in csv.reader(record.read_text("utf-8").splitlines())
        if not (packages / row[0]).exists()
    ]
