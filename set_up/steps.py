"""One step of the set-up: a command with a line before it, and more lines while it goes on."""

import subprocess
import time
from collections.abc import Mapping, Sequence

from deployments.launcher.console import say

LINE_EVERY_SECONDS = 10


class SetUpError(Exception):
    """The environment could not be made; the message is for the person who ran make."""


def run(text: str, command: Sequence[str], environ: Mapping[str, str], lock: int) -> None:
    """Say ``text``, run the command, say every ten seconds that it still runs; only its errors are shown.

    The command holds the file descriptor ``lock`` too: if only we are killed, nobody else begins before it has ended.
    Raises ``SetUpError`` if it fails.
    """
    say(f"  {text} ...")
    started_at = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 (pip, uv and Python, named by us)
        command, env=environ, pass_fds=[lock], stdout=subprocess.DEVNULL
    )
    try:
        while (code := _wait(process)) is None:
            say(f"  ... for {time.monotonic() - started_at:.0f} s so far")
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code:
        raise SetUpError(f"{text} failed with exit code {code}; the next make starts again")


def _wait(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(LINE_EVERY_SECONDS)
    except subprocess.TimeoutExpired:
        return None
