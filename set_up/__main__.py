"""``python3 -m set_up base``: makes or renews ``.venv``; any other name adds ``requirements-NAME.lock`` to it.

``audit`` and two peers of the benchmark get environments of their own. Prints a line for each step that takes seconds,
and one for what fails.
"""

import argparse
import signal
import sys
from types import FrameType

from deployments.launcher.console import say
from set_up.environment import BASE, OWN, Environment
from set_up.steps import SetUpError


def main() -> int:
    """0 when the environment is whole; 1 after a line that says what failed; 130 after Ctrl-C, as a shell has it."""
    parser = argparse.ArgumentParser(prog="python3 -m set_up", description=__doc__)
    parser.add_argument("name", choices=["base", *OWN, "bench", "bench-all", "mutants", "page"])
    name: str = parser.parse_args().name
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        _set_up(name)
    except KeyboardInterrupt:
        say("set-up interrupted: the next make starts it again")
        return 130
    except (SetUpError, OSError) as error:
        say(f"error: {error}")
        return 1
    return 0


def _set_up(name: str) -> None:
    if name in OWN:
        Environment(f".venv/{name}").make(f"requirements-{name}.lock")
    elif name == "base":
        Environment(".venv").make(*BASE)
    else:
        Environment(".venv").add(name)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
