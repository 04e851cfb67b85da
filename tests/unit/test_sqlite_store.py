"""The store of durable jobs in a file of SQLite: whose it is, and what can happen to it."""

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from app.durable.file_systems import network_file_system
from app.durable.sql_store import SqlStore, sqlite_store
from app.durable.sqlite import SqliteDatabase
from app.durable.store import DeposedError, StoreError
from tests.stores import (
    NOW,
    SqlitePlace,
    die,
    queued,
    read,
    session_of,
    submit,
    write,
)

ROOT = Path(__file__).parents[2]


NOBODY = 65534


class SmallDisk:
    """What can be filled, and freed again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state"
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Until nothing more can be written."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        self._ballast.unlink()


class SmallFiles(SmallDisk):
    """Not the disk is full, but files may not become larger."""

    def fill(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = sum(path.stat().st_size for path in self.folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._limits[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


@pytest.fixture(params=["tmpfs", "limit"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    """Of two kinds, in turn."""
    if request.param == "limit":
        yield SmallFiles(tmp_path)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only who may mount a file system can make a small one")
    try:
        yield SmallDisk(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.fixture
def sqlite(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path / "state")


class TestOwner:
    def test_a_file_belongs_to_one_process_at_a_time(self, sqlite: SqlitePlace) -> None:
        old, new = sqlite.keeper(), sqlite.keeper()
        old.take("one", NOW)
        with pytest.raises(StoreError, match=r"another service has the file .*/jobs\.db$"):
            new.take("one", NOW)
        (record,) = submit(old, queued("a"))
        die(old)
        assert new.take("one", NOW).unfinished == (record,)
        with pytest.raises(StoreError, match="another service"):
            old.reopen()
        new.close()
        with pytest.raises(DeposedError):
            old.reopen()
        with pytest.raises(DeposedError):
            write(old, lambda session: session.delete("a"))

    def test_the_kernel_frees_the_file_of_a_process_that_was_killed(self, sqlite: SqlitePlace) -> None:
        code = f"""
            from app.durable.sql_store import *
            from tests.stores import *
            store = SqlitePlace(Path({str(sqlite.folder)!r})).keeper()
            store.take("one", NOW)
            write(store, lambda session: session.submit(queued("a")))
            print("written", flush=True)
            input()
        """
        command = [sys.executable, "-c", textwrap.dedent(code)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written\n"
            with pytest.raises(StoreError, match="another service"):
                sqlite.keeper().take("one", NOW)
            process.kill()
            process.wait()
        heir = sqlite.keeper()
        assert [record.job_id for record in heir.take("one", NOW).unfinished] == ["a"]
        heir.close()


class TestFile:
    def test_only_the_service_may_read_it(self, sqlite: SqlitePlace) -> None:
        store = sqlite.keeper()
        store.take("one", NOW)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (sqlite.folder, *sqlite.folder.iterdir())}
        assert modes == {"state": 0o700, "jobs.db": 0o600, "jobs.db-wal": 0o600}
        store.close()

    def test_it_is_opened_as_it_should_be(self, sqlite: SqlitePlace) -> None:
        store = sqlite.keeper()
        store.take("one", NOW)
        for name, value in {"locking_mode": "exclusive", "journal_mode": "wal", "synchronous": 2, "busy_timeout": 1000,
                            "journal_size_limit": 2**24}.items():  # fmt: skip
            pragma = text(f"PRAGMA {name}")
            assert read(store, lambda s, pragma=pragma: session_of(s)._connection.execute(pragma).scalar_one()) == value
        store.close()

    def test_a_folder_that_cannot_be_made_or_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match=r"file/state: Not a directory$"):
            SqlitePlace(tmp_path / "file" / "state").keeper().take("one", NOW)
        (tmp_path / "readonly").mkdir(mode=0o555)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(StoreError, match=r": Permission denied$"):
                SqlitePlace(tmp_path / "readonly" / "state").keeper().take("one", NOW)
        finally:
            os.seteuid(os.getuid())

    def test_a_damaged_file_is_left_as_it_is(self, sqlite: SqlitePlace) -> None:
        store = sqlite.keeper()
        store.take("one", NOW)
        submit(store, *(queued(str(number), request="x" * 1000) for number in range(50)))
        store.close()
        path = sqlite.folder / "jobs.db"
        sound = path.read_bytes()
        for damaged in (b"not a database" * 1000, sound[:4096] + b"\xff" * 8192 + sound[12288:], sound[: 3 * 4096]):
            path.write_bytes(damaged)
            for attempt in (sqlite.keeper().take, lambda *_: store.reopen()):
                with pytest.raises(StoreError, match=r"jobs\.db is damaged: "):
                    attempt("one", NOW)
                assert path.read_bytes() == damaged
        path.write_bytes(sound)
        assert len(store.take("one", NOW).unfinished) == 50
        store.close()

    def test_a_file_that_was_deleted_is_not_made_anew_while_the_service_runs(self, sqlite: SqlitePlace) -> None:
        store = sqlite.keeper()
        store.take("one", NOW)
        path = sqlite.folder / "jobs.db"
        path.unlink()
        with pytest.raises(StoreError, match=r"jobs\.db was deleted or replaced while the service was running"):
            submit(store, queued("a"))
        for _ in range(2):
            with pytest.raises(StoreError, match=r"jobs\.db is not there"):
                store.reopen()
        assert not path.exists()

    def test_a_wal_without_its_database_is_not_deleted(self, sqlite: SqlitePlace) -> None:
        sqlite.folder.mkdir()
        wal = sqlite.folder / "jobs.db-wal"
        wal.write_bytes(b"frames")
        for empty in (False, True):
            if empty:
                (sqlite.folder / "jobs.db").touch()
            with pytest.raises(StoreError, match=r"jobs\.db is gone or empty, but there is .*-wal: restore both"):
                sqlite.keeper().take("one", NOW)
            assert wal.read_bytes() == b"frames"

    def test_a_full_disk_loses_nothing_that_was_committed(self, small_disk: SmallDisk) -> None:
        store = SqlitePlace(small_disk.folder).keeper()
        store.take("one", NOW)
        (first,) = submit(store, queued("a"))
        small_disk.fill()
        with pytest.raises(StoreError, match=r"jobs\.db: (database or disk is full|disk I/O error)"):
            submit(store, *(queued(str(number), request="x" * 10_000) for number in range(100)))
        with pytest.raises(StoreError, match="not open"):
            submit(store, queued("b"))
        small_disk.free()
        store.reopen()
        assert read(store, lambda session: session.get("a")) == first
        (second,) = submit(store, queued("b"))
        die(store)
        heir = SqlitePlace(small_disk.folder).keeper()
        assert {first, second} <= set(heir.take("one", NOW).unfinished)
        heir.close()


class TestRows:
    @pytest.mark.parametrize(
        "change", ["state = 'paused'", "revision = 'many'", "revision = NULL", "caller = CAST(x'ff' AS TEXT)"]
    )
    def test_one_row_that_cannot_be_read_is_an_error_for_all(self, sqlite: SqlitePlace, change: str) -> None:
        """Of SQLite, which keeps anything anywhere: a constraint on a column is all that it looks at."""
        store = sqlite.keeper()
        store.take("one", NOW)
        submit(store, queued("a"), queued("b"))
        die(store)
        with closing(sqlite3.connect(sqlite.folder / "jobs.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'jobs'")
            connection.execute("PRAGMA writable_schema = RESET")
            connection.execute(f"UPDATE jobs SET {change} WHERE job_id = 'b'")  # noqa: S608 (of this test)
        with pytest.raises(StoreError, match=r"job b cannot be read: .*(paused|many|None)|UTF-8"):
            store.take("one", NOW)


class TestNetworkFolder:
    MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /srv rw shared:2 - nfs4 server:/srv rw
31 30 0:27 / /srv/local rw - xfs /dev/vdb rw
32 22 0:28 / /my\\040state rw - 9p host rw
33 22 0:29 / /twice rw - tmpfs tmpfs rw
34 33 0:30 / /twice rw shared:3 master:1 - fuse.sshfs host: rw
35 22 0:31 / /mac rw - virtiofs share rw
36 22 0:32 / /disk rw - fuseblk /dev/vdc rw
"""

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/", None), ("/srv/jobs/state", "nfs4"), ("/srv", "nfs4"), ("/srvother", None), ("/srv/local/state", None),
            ("/my state/x", "9p"), ("/twice/x", "fuse.sshfs"), ("/mac/../mac/x", "virtiofs"), ("/disk", None),
        ],
    )  # fmt: skip
    def test_the_longest_mount_point_counts(self, path: str, kind: str | None) -> None:
        assert network_file_system(Path(path), self.MOUNTS) == kind

    def test_it_is_refused_unless_it_is_allowed(self, tmp_path: Path) -> None:
        mountinfo = tmp_path / "mountinfo"
        mountinfo.write_text(f"1 1 0:1 / {tmp_path} rw - cifs //server/share rw\n")
        database = SqliteDatabase(tmp_path / "state", allow_network_folder=False, mountinfo=mountinfo)
        with pytest.raises(
            StoreError, match=r"/state is on a network file system \(cifs\).*choose a folder on a local"
        ):
            SqlStore(database).take("one", NOW)
        assert not (tmp_path / "state").exists()
        allowed = SqliteDatabase(tmp_path / "state", allow_network_folder=True, mountinfo=mountinfo)
        store = SqlStore(allowed)
        assert store.take("one", NOW).epoch == 1
        store.close()

    def test_where_nothing_is_known_of_mounts_nothing_is_refused(self, tmp_path: Path) -> None:
        store = SqlStore(SqliteDatabase(tmp_path, allow_network_folder=False, mountinfo=tmp_path / "none"))
        store.take("one", NOW)
        store.close()

    def test_the_folder_of_this_test_is_on_a_disk_or_said_not_to_be(self, tmp_path: Path) -> None:
        store = sqlite_store(tmp_path, allow_network_folder=False)
        try:
            store.take("one", NOW)
        except StoreError as error:
            assert "network file system" in str(error)  # noqa: PT017 (either is right, wherever the tests run)
        store.close()


def test_nobody_waits_for_a_keeper_that_has_lost_its_lock(tmp_path: Path) -> None:
    """Then it is dead: the kernel says so."""
    place = SqlitePlace(tmp_path)
    store, heir = place.keeper(), place.keeper()
    store.take("one", NOW)
    die(store)
    assert heir.take("two", NOW).epoch == 2
    heir.close()
