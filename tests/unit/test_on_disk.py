"""What is acknowledged is on disk: between two acknowledgements the kernel has synced the file, as strace sees it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.config import ROOT

NEVER = "1000"
"""The keeper's transaction at which it dies."""
SYNCED = re.compile(r"f(data)?sync\(\d+<[^>]*/jobs\.db-wal>\)\s+= 0")
SAID = re.compile(r'write\(1<[^>]*>, "(submitted|over|deleted) (\w+)')


def test_an_acknowledgement_comes_after_the_sync_of_what_it_acknowledges(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is missing")
        pytest.skip("strace is missing (Debian: apt install strace)")
    trace = tmp_path / "trace"
    child = [sys.executable, "-m", "tests.keeper_child", str(tmp_path / "state"), "before", NEVER]
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-s", "40", "-o", str(trace), *child]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    synced, said = False, []
    for line in joined(trace.read_text().splitlines()):
        if SYNCED.search(line):
            synced = True
        elif found := SAID.search(line):
            assert synced, f"{found[1]} {found[2]} was said before it was on disk"
            said.append(found[1])
            synced = False
    assert said == ["submitted", "submitted", "submitted", "over", "deleted"]


def joined(lines: list[str]) -> list[str]:
    """Each call in one line, where it returned: strace splits one during which another thread's began."""
    begun: dict[str, str] = {}
    whole = []
    for line in lines:
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>").rstrip()
        elif call.startswith("<... ") and thread in begun:
            whole.append(begun.pop(thread) + call.partition("resumed>")[2])
        else:
            whole.append(call)
    return whole
