"""`make demo`, as a newcomer types it."""

import os
import re
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from harness.processes import alive, descendants

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_make_demo_prints_the_comparison() -> None:
    command = ["make", "--no-print-directory", "demo", "ROUNDS=1"]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    everything: set[psutil.Process] = set()
    try:
        while demo.poll() is None:  # a process whose parent has ended is nobody's descendant any more
            everything |= set(descendants(demo.pid))
            time.sleep(0.5)
        printed, _ = demo.communicate()
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 0, printed
    assert len(everything) > 10  # Ray's and the service's
    for job in (f"{len(os.sched_getaffinity(0))} x 100000 ", "64 x 100000 ", "1 x 1000000 "):
        assert any(job in line for line in printed.splitlines()), printed
    assert re.search(r"^  \d+\.\d{3} s, peak memory \d+ MB$", printed, re.MULTILINE), printed
    disturbed = r"(; no measure: other work took \d+\.\d cores meanwhile)?"
    assert re.fullmatch(rf"speed-up: \d+\.\d\d \(64 x 100000, \d+ workers\){disturbed}", printed.splitlines()[-1])
    assert re.search(r"^  ready on ", printed, re.MULTILINE), printed
    assert not alive(list(everything))
