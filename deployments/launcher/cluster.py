"""The process that imports Ray: starts the cluster and Serve, and ends them as the supervisor says.

``python -m deployments.launcher.cluster PLAN FD``: PLAN is a file with a ``Plan`` as JSON, FD is where events go, a
line each with a JSON list of a name and a value. On its standard input come "leave", "drain SECONDS" and "drop", a line
each; its end means that the supervisor is gone.
"""

import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.launcher import lifecycle, ray_node
from deployments.launcher.console import LaunchError, RetryError
from deployments.launcher.durable import Report

BLOCKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What the supervisor asks for."""

    config: dict[str, Any]
    """``serve_config.yaml``, prepared."""
    url: str
    """Where the API is reached from this machine, without a route prefix."""
    folder: str
    cpus: int
    metrics_port: int
    """Where Ray's agent shows the metrics, on loopback."""
    verbose: bool


class Supervised:
    """The supervisor, as this process sees it."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self.leaving = threading.Event()
        self.stopping = threading.Event()
        """The service has to end."""
        self.dropping = threading.Event()
        """It has to end without waiting for jobs."""
        self.grace_seconds = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, name: str, value: object = None) -> None:
        """Write an event; one write each, so that those of two threads do not mix."""
        os.write(self._descriptor, json.dumps([name, value]).encode() + b"\n")

    def say(self, text: str) -> None:
        """A line for the person who started the service."""
        self.tell("say", text)

    def _listen(self) -> None:
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "leave":
                self.leaving.set()
            elif command == "drain":
                self.grace_seconds = float(argument)
                self.stopping.set()
            else:
                break
        self.dropping.set()
        self.stopping.set()


def main() -> int:
    """Run until the supervisor says otherwise; the exit code."""
    # A signal that a service manager sends to every process reaches Ray's own too, which would end at once; blocked
    # here, these are blocked in everything that this process starts.
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    supervised = Supervised(int(sys.argv[2]))
    try:
        _run(plan, supervised)
    except RetryError as error:
        supervised.tell("retry", str(error))
    except LaunchError as error:
        supervised.tell("failed", str(error))
    return 0


def _run(plan: Plan, supervised: Supervised) -> None:
    schema = lifecycle.checked(plan.config)
    supervised.tell("step", "starting Ray")
    ray_node.start_ray(plan.cpus, Path(plan.folder), plan.metrics_port, verbose=plan.verbose)
    threading.Thread(target=_watch, args=(supervised,), daemon=True).start()
    supervised.tell("step", "starting Serve and HAProxy")
    lifecycle.deploy(schema, supervised.say, verbose=plan.verbose)
    supervised.tell("step", "waiting for the workers")
    routes = lifecycle.wait_until_ready(plan.url, schema, supervised.stopping)
    lifecycle.wait_until_settled(Path(plan.folder), supervised.stopping)
    report = Report(lifecycle.count_durable, supervised.say)
    if not supervised.stopping.is_set():
        supervised.tell("ready", routes)
        report.look()
    while not supervised.stopping.wait(WATCH_SECONDS):
        if supervised.leaving.is_set():
            lifecycle.leave()
        else:
            report.look()
    lifecycle.drain(supervised.grace_seconds, supervised.dropping, supervised.say)
    lifecycle.close_keepers(supervised.say)
    lifecycle.shut_down()


def _watch(supervised: Supervised) -> None:
    """A cluster of one node does not survive its GCS or its raylet; Serve would wait for them for a minute."""
    while not supervised.stopping.wait(WATCH_SECONDS):
        if dead := ray_node.dead_processes():
            supervised.tell("failed", f"the cluster died under the service: {' and '.join(dead)} ended")
            os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
