"""A recording as a row of files: sizes, times, budget; and a disk that is slow or full."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import Recording
from pipeline.log.codec import Encoded
from pipeline.log.form import LogError
from pipeline.log.reader import LogReader
from pipeline.record.segment import MB, Segments
from pipeline.record.writing import Notes, Writing
from pipeline.sample import Sample
from tests.parts import wait_until
from tests.pipeline.messages import HEADER, SECOND_NS, message


def write(record: Recording, messages: Sequence[Encoded]) -> Segments:
    segments = Segments(record, HEADER)
    for each in messages:
        segments.append(each)
    segments.close({"ledger": {"a": "1"}})
    return segments


def read(path: Path) -> list[Sample]:
    with LogReader(path) as reader:
        assert reader.header == HEADER
        return list(reader.samples())


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name))


def test_a_segment_lasts_no_longer_than_asked_and_each_is_whole(tmp_path: Path) -> None:
    messages = [message(n, n * SECOND_NS // 10) for n in range(100)]
    write(Recording(file=str(tmp_path / "x.mcap"), segment_s=3), messages)
    found = [read(path) for path in files(tmp_path)]
    assert [path.name for path in files(tmp_path)] == ["x.mcap"] + [
        f"x.000{n}.mcap" for n in (1, 2, 3)
    ]
    assert [sample.seq for part in found for sample in part] == list(range(100))
    assert all(part[-1].t_publish_ns - part[0].t_publish_ns < 3 * SECOND_NS for part in found)
    with LogReader(tmp_path / "x.0003.mcap") as last:
        assert ("ledger", {"a": "1"}) in last.notes


def test_segments_are_closed_by_size_and_the_budget_deletes_the_oldest(tmp_path: Path) -> None:
    file = tmp_path / "x.mcap"
    messages = [message(n, n * SECOND_NS // 100, 10_000) for n in range(500)]
    record = Recording(file=str(file), segment_mb=0.5, budget_mb=1.5)
    segments = write(record, messages)
    sizes = [path.stat().st_size for path in files(tmp_path)]
    assert sum(sizes) < 1.5 * MB
    assert all(size < 0.55 * MB for size in sizes)
    assert segments.n_files == len(sizes) + segments.n_deleted and segments.n_deleted > 5
    assert segments.size_bytes > 5 * MB
    left = [sample.seq for path in files(tmp_path) for sample in read(path)]
    assert left == list(range(left[0], 500)) and len(left) > 90
    assert not file.exists()


def test_the_budget_holds_over_all_recordings_of_a_name(tmp_path: Path) -> None:
    old = tmp_path / "h-20200101T000000Z.mcap"
    other = tmp_path / "holiday.mcap"
    for path in (old, other):
        path.write_bytes(bytes(MB))
    record = Recording(file=str(tmp_path / "h-{time}.mcap"), segment_mb=0.5, budget_mb=1.2)
    write(record, [message(0, SECOND_NS)])
    assert not old.exists() and other.exists()


class Disk:
    """A log in memory, on a disk that waits, and then may be full."""

    def __init__(self, limit: int = 10**9) -> None:
        self.written: list[Encoded] = []
        self.limit = limit
        self.goes = threading.Event()
        self.notes: Notes = {}

    def append(self, message: Encoded) -> None:
        assert self.goes.wait(20)
        if len(self.written) == self.limit:
            raise LogError("x.mcap: cannot be written: No space left on device")
        self.written.append(message)

    def close(self, notes: Notes) -> None:
        self.notes = notes


def test_a_slow_disk_costs_messages_and_never_a_wait() -> None:
    disk = Disk()
    writing = Writing(disk, bound_bytes=10_000)
    messages = [message(n, n, 1000) for n in range(100)]
    taken = [each for each in messages if writing.put(each)]
    assert 9 <= len(taken) <= 11
    disk.goes.set()
    writing.finish({"ledger": {"a": "1"}})
    assert writing.join(20)
    assert disk.written == taken
    assert disk.notes == {"ledger": {"a": "1"}}
    assert writing.error == ""


def test_one_message_larger_than_the_bound_is_still_written() -> None:
    disk = Disk()
    disk.goes.set()
    writing = Writing(disk, bound_bytes=100)
    assert writing.put(message(0, 0, 1000))
    writing.finish({})
    assert writing.join(20) and len(disk.written) == 1


def test_a_full_disk_ends_the_writing_and_every_message_is_accounted_for() -> None:
    disk = Disk(limit=3)
    writing = Writing(disk)
    for n in range(10):
        assert writing.put(message(n, n))
    disk.goes.set()
    wait_until(lambda: writing.error)
    assert "No space left" in writing.error
    assert not writing.put(message(10, 10))
    assert writing.lost.total() == 7
    writing.finish({})
    assert writing.join(20) and len(disk.written) == 3
