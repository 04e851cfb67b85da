"""The page's modules that neither draw nor ask anything, in Node: parser, layout, memory, words."""

import re
import subprocess
from pathlib import Path

from tests.places.needs import lacks, needs_tool

FOLDER = Path(__file__).parent
OLDEST = (20, 19)
"""Which tells modules from scripts by what is in them."""


def test_the_pure_modules_pass_their_own_tests() -> None:
    node = needs_tool("node")
    version = subprocess.check_output([node, "--version"], text=True)
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        lacks("Node 20.19 or newer")
    tests = sorted(map(str, FOLDER.glob("*.test.mjs")))
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr
