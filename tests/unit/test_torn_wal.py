"""What is left of the stored jobs when power fails: any beginning of the WAL, torn anywhere, or with a damaged byte.

Whatever it is, the store opens with what was committed up to some moment; and with all that was acknowledged, if the
WAL has all frames that were synced for it.
"""

import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.durable.records import Record, State
from app.durable.sql_store import SqlStore
from app.durable.store import Session
from tests.stores import NOW, SqlitePlace, folder_in_memory, queued, read, write

HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
"""Of a WAL: https://www.sqlite.org/fileformat2.html#walformat"""

Jobs = frozenset[Record]


@dataclass(frozen=True)
class Recording:
    """A database as it was opened, its WAL after the last commit, and what was stored after each."""

    database: bytes
    wal: bytes
    commits: list[tuple[int, int, Jobs]]
    """The length of the WAL after it, the epoch, and all jobs."""

    @property
    def frame_bytes(self) -> int:
        return FRAME_HEADER_BYTES + int(struct.unpack(">I", self.wal[8:12])[0])

    @property
    def num_frames(self) -> int:
        return (len(self.wal) - HEADER_BYTES) // self.frame_bytes

    def end_of(self, frame: int) -> int:
        return HEADER_BYTES + frame * self.frame_bytes

    def committed(self, length: int) -> tuple[int, Jobs]:
        """The epoch and the jobs of the last commit that is whole in so much of the WAL."""
        return max(((end, epoch, jobs) for end, epoch, jobs in self.commits if end <= length), key=lambda it: it[0])[1:]


def stored(store: SqlStore) -> Jobs:
    return frozenset(read(store, lambda s: [s.get(one.job_id) for one in s.page("ada", (), None, 1000)]))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(scope="module")
def recording(folder: Path) -> Recording:
    """Two jobs that are submitted, progress, end and are forgotten, by two keepers."""
    place = SqlitePlace(folder / "recorded")
    path, wal = place.folder / "jobs.db", place.folder / "jobs.db-wal"
    store = place.keeper()
    store._connection = store._database.connect(create=True)
    database = path.read_bytes()  # without any tables
    commits: list[tuple[int, int, Jobs]] = [(0, 0, frozenset())]
    first, second = queued("a", number=1), queued("b", number=2, request="x" * 6000)
    running = replace(first, state=State.RUNNING, checkpoint="y" * 9000, revision=2)
    done = replace(running, state=State.SUCCEEDED, checkpoint=None, result="{}", finished_at=NOW, expires_at=NOW)
    steps: list[Callable[[Session], object]] = [
        lambda session: session.submit(first),
        lambda session: session.submit(second),
        lambda session: session.save(running),
        lambda session: session.save(done),
        lambda session: session.purge(NOW, 9, 9),
        lambda session: session.submit(replace(first, job_id="c")),
        lambda session: session.delete("b"),
    ]
    store._disconnect()
    assert path.read_bytes() == database
    store.take("one", NOW)
    commits.append((wal.stat().st_size, 1, frozenset()))
    for step in steps:
        write(store, step)
        commits.append((wal.stat().st_size, 1, stored(store)))
    assert path.read_bytes() == database  # all the rest is in the WAL
    recording = Recording(database, wal.read_bytes(), commits)
    store.close()
    assert [len(jobs) for _, _, jobs in commits] == [0, 0, 1, 2, 2, 2, 1, 2, 1]
    return recording


def reopened(recording: Recording, folder: Path, wal: bytes) -> tuple[int, Jobs]:
    """The epoch before and the jobs that a new keeper finds."""
    place = SqlitePlace(folder / "copy")
    place.folder.mkdir()
    (place.folder / "jobs.db").write_bytes(recording.database)
    (place.folder / "jobs.db-wal").write_bytes(wal)
    store = place.keeper()
    taken = store.take("two", NOW, force=True)
    jobs = stored(store)
    assert taken.unfinished == tuple(sorted((job for job in jobs if not job.state.done), key=lambda job: job.number))
    store.close()
    shutil.rmtree(place.folder)
    return taken.epoch - 1, jobs


def test_each_whole_frame_counts(recording: Recording, folder: Path) -> None:
    assert recording.num_frames > 2 * len(recording.commits)
    assert recording.end_of(recording.num_frames) == len(recording.wal)
    for frame in range(recording.num_frames + 1):
        end = recording.end_of(frame)
        assert reopened(recording, folder, recording.wal[:end]) == recording.committed(end)


@pytest.mark.parametrize("part", [1, 23, 24, 25, 2000, 4119])
def test_a_torn_frame_is_as_none(recording: Recording, folder: Path, part: int) -> None:
    for frame in range(part % 3, recording.num_frames, 3):  # a third of them each
        end = recording.end_of(frame)
        assert reopened(recording, folder, recording.wal[: end + part]) == recording.committed(end)
        zeros = bytes(recording.frame_bytes - part)  # the file has its length, but not all of its blocks
        torn = recording.wal[: end + part] + zeros
        whole = recording.wal[: end + recording.frame_bytes] == torn
        assert reopened(recording, folder, torn) == recording.committed(end + whole * recording.frame_bytes)


@pytest.mark.parametrize("where", [0, 4, 9, 17, 24, 1000])
def test_a_damaged_byte_takes_its_frame_and_all_after_it(recording: Recording, folder: Path, where: int) -> None:
    for frame in range(where % 3, recording.num_frames, 3):
        end = recording.end_of(frame)
        damaged = bytearray(recording.wal)
        damaged[end + where] ^= 0x40
        assert reopened(recording, folder, bytes(damaged)) == recording.committed(end)


@pytest.mark.parametrize("where", range(0, HEADER_BYTES, 5))
def test_with_a_damaged_header_there_is_what_was_there_before_the_wal(
    recording: Recording, folder: Path, where: int
) -> None:
    damaged = bytearray(recording.wal)
    damaged[where] ^= 0x40
    assert reopened(recording, folder, bytes(damaged)) == recording.committed(0)
