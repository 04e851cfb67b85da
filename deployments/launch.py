"""The launcher: ``serve_config.yaml`` with another host, port or CPU count, in a Ray cluster of its own.

``serve run`` drops the jobs in flight when it is stopped, and joins any cluster that happens to run. This starts
the same file in a new cluster on ports that are free, and on SIGTERM, SIGINT or SIGHUP it stops admission, waits
for the jobs in flight and only then ends Serve.
"""

import os
import signal
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run the service in the foreground until a signal; the exit code."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # ignored: nohup
            signal.signal(number, _stop)
    # Only now, since the import takes a moment, in which a signal can come.
    from deployments.launcher import command  # noqa: PLC0415 (signals first)

    return command.run(arguments, description=__doc__)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Until there is a supervisor: end. What has been made so far is removed on the way out."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    if sys.stdout:
        sys.stdout.write(f"error: stopped by {signal.Signals(number).name} before it was ready\n")
    sys.exit(1)


if __name__ == "__main__":
    if not sys.flags.ignore_environment and any(name.startswith("PYTHON") for name in os.environ):
        # Start again without a shell's variables for Python itself: PYTHONINSPECT would never let it end.
        os.execv(sys.executable, [sys.executable, "-E", *sys.orig_argv[1:]])  # noqa: S606 (this very command)
    sys.exit(main())
