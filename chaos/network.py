"""Run as a script, as root: the service on a Ray cluster whose nodes have a network of their own, until SIGINT.

SIGUSR1 takes the second node's link down, SIGUSR2 puts it up again. Each node has namespaces of its own: for its
network, its processes (or ``ray stop`` would find the others') and /dev/shm. A switch connects them and this host.
"""

import contextlib
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from deployments.launcher.console import say
from harness.service import READY

DOWN, UP, STOP = signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT
NETWORK = "10.77.{}.{}"
"""The host has the last address, the nodes the first ones."""
HOST = 254
THIS_HOST = "this-host"
"""In the configuration: stands for the host's address."""
NODES = 2
PLACE, ADDED = "place", "added"
"""A label, and what it is on every node but the first, here and in ``chaos.cluster``."""
RAY = (sys.executable, "-m", "ray.scripts.scripts")
"""Not the script of that name: in a clone that was moved it runs another interpreter."""
RAY_PORT = 6379
OBJECT_STORE_BYTES = 100_000_000
NODE = "mount -t tmpfs -o size=256m tmpfs /dev/shm && exec {}"
"""What runs in a node's namespaces, with what it starts."""


def main() -> None:
    wishes: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (DOWN, UP, STOP, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: wishes.put(number))
    with tempfile.TemporaryDirectory(prefix="fc") as folder, _network() as network:
        config = Path(folder, "serve_config.yaml")
        config.write_text(Path(sys.argv[1]).read_text().replace(THIS_HOST, network.address(HOST)))
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        head = [sys.executable, "-m", "chaos.network_head", str(config), network.address(1), folder]
        with network.node(1, *head) as service:
            for line in service.stdout or ():
                if READY.search(line):
                    break
                say(line.strip())
            else:
                return  # it has said why not
            join = [*RAY, "start", "--block", "--address", f"{network.address(1)}:{RAY_PORT}", *_options(2, folder)]
            join += ["--node-ip-address", network.address(2), "--labels", f"{PLACE}={ADDED}"]
            with network.kept_node(2, *join):
                say(line.strip())
                while (wish := wishes.get()) in (DOWN, UP):
                    network.set_link(2, up=wish == UP)
                network.set_link(2, up=True)


def _options(number: int, folder: str) -> list[str]:
    """Of ``ray start``, on this node."""
    return [
        "--num-cpus", "1", "--temp-dir", f"{folder}/{number}", "--object-store-memory", str(OBJECT_STORE_BYTES),
        "--disable-usage-stats",
    ]  # fmt: skip


def head_command(address: str, folder: str) -> list[str]:
    """Starts the first node, from inside its namespaces."""
    options = ["--head", "--port", str(RAY_PORT), "--node-ip-address", address, "--include-dashboard", "false"]
    return [*RAY, "start", *options, *_options(1, folder)]


class Network:
    """A switch, to which this host and the nodes are connected."""

    def __init__(self) -> None:
        self._name = f"fc{os.getpid()}"
        self._third = 1 + os.getpid() % 250

    def address(self, number: int) -> str:
        """Of a node, or of the host."""
        return NETWORK.format(self._third, number)

    def set_up(self) -> None:
        """Make the switch and all connections to it. Raises ``CalledProcessError``."""
        switch = self._space(0)
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number in range(1, NODES + 1):
            _ip("netns", "add", self._space(number))
            self._connect(number, self._space(number))
        self._connect(HOST, None)

    def tear_down(self) -> None:
        """Remove whatever there is of it."""
        for number in range(NODES + 1):
            subprocess.run(  # noqa: S603 (this project's own)
                ["/usr/bin/env", "ip", "netns", "del", self._space(number)], check=False, capture_output=True
            )

    def set_link(self, number: int, *, up: bool) -> None:
        """Plug the node's cable in, or pull it."""
        _ip("-n", self._space(0), "link", "set", f"p{number}", "up" if up else "down")

    @contextlib.contextmanager
    def node(self, number: int, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command in a node's namespaces; it ends with the block, as does all that it started there."""
        space = ["ip", "netns", "exec", self._space(number)]
        # Killing the first process in a PID namespace ends all of them.
        unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--uts", "--ipc"]
        shell = ["sh", "-c", NODE.format(" ".join(command))]
        process = subprocess.Popen(  # noqa: S603 (this project's own commands)
            [*space, *unshare, *shell], stdout=subprocess.PIPE, text=True, process_group=0
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def kept_node(self, number: int, *command: str) -> Iterator[None]:
        """The same, and run it again whenever it ends by itself, as a process manager would.

        Ray may have taken a node whose link was down for dead, and then ends it when it is heard of again.
        """
        running: list[subprocess.Popen[str]] = []
        leaving = threading.Event()

        def keep() -> None:
            while not leaving.is_set():
                with self.node(number, *command) as process:
                    running[:] = [process]
                    for _ in process.stdout or ():  # or it would stand still when the pipe is full
                        pass
                if not leaving.is_set():
                    say(f"node {number} has ended; starting it again")

        keeper = threading.Thread(target=keep)
        keeper.start()
        try:
            yield
        finally:
            leaving.set()
            while keeper.is_alive():
                for process in running:
                    process.kill()
                keeper.join(0.5)

    def _space(self, number: int) -> str:
        return f"{self._name}-{number}"

    def _connect(self, number: int, space: str | None) -> None:
        inside = f"{self._name}v{number}"
        into = ["netns", space] if space else []
        here = ["-n", space] if space else []
        switch = self._space(0)
        _ip("link", "add", inside, *into, "type", "veth", "peer", "name", f"p{number}", "netns", switch)
        _ip("-n", switch, "link", "set", f"p{number}", "master", "bridge", "up")
        _ip(*here, "addr", "add", f"{self.address(number)}/24", "dev", inside)
        _ip(*here, "link", "set", inside, "up")
        if space:
            _ip(*here, "link", "set", "lo", "up")


@contextlib.contextmanager
def _network() -> Iterator[Network]:
    network = Network()
    try:
        network.set_up()
        yield network
    finally:
        network.tear_down()


def _ip(*arguments: str) -> None:
    subprocess.run(["/usr/bin/env", "ip", *arguments], check=True)  # noqa: S603 (as above)


if __name__ == "__main__":
    main()
