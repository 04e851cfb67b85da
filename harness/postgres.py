"""A PostgreSQL server of one's own: a cluster in a temporary folder, on a free port, without fsync."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from harness.service import StartError

BINARIES = "/usr/lib/postgresql/*/bin/postgres"
"""Where Debian has them."""
OTHER_USER = "nobody"
"""PostgreSQL refuses to run as root."""
START_SECONDS, STOP_SECONDS = 30.0, 30.0


def binaries() -> Path | None:
    """The folder of the newest version that is installed; None if there is none."""
    found = [path.parent for path in Path("/").glob(BINARIES[1:])]
    return max(found, key=lambda path: int(path.parent.name)) if found else None


def not_root() -> list[str]:
    """What a command of the server begins with: it ends with its parent, and does not run as root."""
    command = ["setpriv", "--pdeathsig=KILL"]
    if os.geteuid() == 0:
        command += [f"--reuid={OTHER_USER}", f"--regid={pwd.getpwnam(OTHER_USER).pw_gid}", "--clear-groups"]
    return command


class PostgresServer:
    """One that can be stopped, started again and frozen."""

    user = "keeper"

    def __init__(self, binaries: Path, folder: Path, clients: str = "") -> None:
        """Make the cluster; it does not run yet. ``clients``: a network that may connect, besides this machine."""
        self._binaries = binaries
        self._folder = folder
        self._clients = clients
        self.password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        password_file = folder / "password"
        password_file.write_text(self.password)
        if os.geteuid() == 0:
            for path in (folder, password_file):
                shutil.chown(path, OTHER_USER)
        subprocess.run(  # noqa: S603 (PostgreSQL's own)
            [
                *not_root(), str(binaries / "initdb"), "--pgdata", str(folder / "data"), "--username", self.user,
                "--auth=scram-sha-256", "--pwfile", str(password_file), "--no-sync", "--no-locale", "--encoding=UTF8",
            ],
            check=True, capture_output=True, cwd=folder, timeout=60,
        )  # fmt: skip
        if clients:
            with (folder / "data/pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {clients} scram-sha-256\n")

    def url(self, schema: str = "public", host: str = "127.0.0.1") -> str:
        """Without the password."""
        return f"postgresql://{self.user}@{host}:{self.port}/postgres?options={quote(f'-csearch_path={schema}')}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection for the caller's own use, without transactions."""
        return psycopg.connect(self.url(), password=self.password, autocommit=True, connect_timeout=2)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "listen_addresses": "*" if self._clients else "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "20",
            "shared_buffers": "16MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port), *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (PostgreSQL's own)
                [*not_root(), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, at once: SIGINT breaks connections, SIGQUIT leaves the WAL to be recovered at the next start."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(STOP_SECONDS)
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """All of it stands still meanwhile."""
        if self._process is None:
            raise RuntimeError("PostgreSQL does not run")
        server = psutil.Process(self._process.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def end_connections(self) -> int:
        """End all connections but this one, as an administrator can; returns how many."""
        statement = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        with self.connect() as connection:
            return len(connection.execute(statement).fetchall())


@contextlib.contextmanager
def running_server(clients: str = "") -> Iterator[PostgresServer]:
    """A running server, for as long as this lasts. Raises ``StartError`` if PostgreSQL is not installed."""
    folder_of_binaries = binaries()
    if folder_of_binaries is None:
        raise StartError(f"there is no PostgreSQL: nothing is at {BINARIES} (apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = PostgresServer(folder_of_binaries, Path(folder), clients)
        try:
            server.start()
            yield server
        finally:
            server.stop()
