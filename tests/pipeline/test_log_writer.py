"""What a written log looks like, to any MCAP reader and after a failed write."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.summary import Summary

from pipeline.config import Compression
from pipeline.log.form import CHUNK_SPAN_NS, LogError, LogHeader
from pipeline.log.reader import LogReader
from pipeline.log.writer import LogWriter
from pipeline.sample import Sample
from tests.pipeline.logged import (
    HEADER,
    SAMPLES,
    assert_same,
    chunk,
    event,
    frame,
    read,
    write,
)

MS_NS = 1_000_000


def summary(path: Path) -> Summary:
    with path.open("rb") as file:
        found = make_reader(file, validate_crcs=True).get_summary()
    assert found is not None
    return found


@settings(max_examples=60)
@given(st.lists(SAMPLES, max_size=8), st.sampled_from(["none", "lz4", "zstd"]))
def test_samples_survive_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Sample], compression: Compression
) -> None:
    path = tmp_path_factory.mktemp("log") / "a.mcap"
    expected = write(path, samples, compression)
    got = read(path)
    assert len(got) == len(expected)
    for a, b in zip(expected, got, strict=True):
        assert_same(a, b)


def test_ties_have_a_fixed_order(tmp_path: Path) -> None:
    samples = [
        event(2, 100, "text/b"),
        event(1, 100, "text/b"),
        event(2**32, 100, "text/b"),
        event(9, 100, "text/a"),
        event(5, 99, "text/z"),
    ]
    expected = write(tmp_path / "a.mcap", samples)
    assert write(tmp_path / "b.mcap", reversed(samples)) == expected
    assert read(tmp_path / "a.mcap") == read(tmp_path / "b.mcap") == expected
    assert [(s.stream, s.seq) for s in expected] == [
        ("text/z", 5),
        ("text/a", 9),
        ("text/b", 2**32),  # MCAP's field for it has 32 bits
        ("text/b", 1),
        ("text/b", 2),
    ]


def test_a_late_sample_is_read_in_its_place(tmp_path: Path) -> None:
    late = event(0, 10 * MS_NS, "text/late")
    samples = [*(event(n, n * 50 * MS_NS) for n in range(20)), late]
    write(tmp_path / "a.mcap", samples)
    assert read(tmp_path / "a.mcap")[1] == late


def test_times_in_the_file_are_wall_clock(tmp_path: Path) -> None:
    write(tmp_path / "a.mcap", [event(1, HEADER.monotonic_ns + 7)])
    with (tmp_path / "a.mcap").open("rb") as file:
        ((_, channel, message),) = make_reader(file).iter_messages()
    assert message.log_time == message.publish_time == HEADER.wall_ns + 7
    assert (channel.topic, message.sequence) == ("text/a", 1)


def test_a_step_of_the_wall_clock_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [event(n, n * 50 * MS_NS) for n in range(40)]
    write(tmp_path / "a.mcap", samples)
    hours_ns = 3_600_000_000_000
    with LogWriter(tmp_path / "b.mcap", HEADER) as writer:
        for n, sample in enumerate(samples):
            # An hour back in the middle of the recording, for whoever may ask the wall clock.
            back_ns = hours_ns if n > 20 else 0
            wall_ns = HEADER.wall_ns + sample.t_publish_ns - back_ns
            monkeypatch.setattr(time, "time_ns", lambda wall_ns=wall_ns: wall_ns)
            monkeypatch.setattr(time, "time", lambda wall_ns=wall_ns: wall_ns / 1e9)
            writer.write(sample)
    monkeypatch.undo()
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()
    assert read(tmp_path / "b.mcap") == samples


def test_a_chunk_spans_a_quarter_of_a_second_at_most(tmp_path: Path) -> None:
    samples: list[Sample] = [event(n, n * 7 * MS_NS) for n in range(300)]
    samples += [event(n, n * 1000 * MS_NS, "text/slow") for n in range(2)]
    write(tmp_path / "a.mcap", samples)
    chunks = summary(tmp_path / "a.mcap").chunk_indexes
    spans_ns = [index.message_end_time - index.message_start_time for index in chunks]
    assert max(spans_ns) <= CHUNK_SPAN_NS
    assert len(chunks) < 15  # and is not closed without need


def test_a_chunk_of_large_frames_is_closed_by_its_size(tmp_path: Path) -> None:
    write(tmp_path / "a.mcap", [frame(n, n, (1080, 1920)) for n in range(6)])
    sizes = [index.uncompressed_size for index in summary(tmp_path / "a.mcap").chunk_indexes]
    assert len(sizes) == 2
    assert max(sizes) < 16 * 2**20 + 1080 * 1920 * 3 + 10_000


def test_statistics_and_indexes_are_those_of_the_file(tmp_path: Path) -> None:
    samples: list[Sample] = [event(n, n * MS_NS) for n in range(1000)]
    samples += [chunk(n, n * 20 * MS_NS) for n in range(50)]
    write(tmp_path / "a.mcap", samples)
    found = summary(tmp_path / "a.mcap")
    assert found.statistics is not None
    assert found.statistics.message_count == 1050
    assert found.statistics.chunk_count == len(found.chunk_indexes) == 8
    assert sorted(found.statistics.channel_message_counts.values()) == [50, 1000]
    assert found.statistics.message_start_time == HEADER.wall_minus_monotonic_ns
    with (tmp_path / "a.mcap").open("rb") as file:
        times = [m.log_time for _, _, m in make_reader(file, validate_crcs=True).iter_messages()]
    assert times == sorted(times)
    assert len(times) == 1050


def test_notes_and_header_are_kept(tmp_path: Path) -> None:
    header = LogHeader(
        monotonic_ns=1, wall_ns=2, config='{"name": "x"}', bundle_sha256="ab", origin="incident"
    )
    with LogWriter(tmp_path / "a.mcap", header) as writer:
        writer.write(event(1, 10**9))
        writer.note("ledger", {"captured": "7"})
        writer.write(event(2, 2 * 10**9))
    with LogReader(tmp_path / "a.mcap") as reader:
        assert reader.header == header
        assert reader.config is not None
        assert reader.config.name == "x"
        assert reader.notes[1:] == [("ledger", {"captured": "7"})]
        assert len(list(reader.samples())) == 2


def test_the_span_is_that_of_the_samples(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "a.mcap", HEADER) as writer:
        for n, t_ns in enumerate((500, 700, 600)):
            writer.write(event(n, t_ns))
        assert (writer.begun_ns, writer.ended_ns) == (500, 700)
        assert writer.size_bytes == (tmp_path / "a.mcap").stat().st_size
    assert writer.size_bytes == (tmp_path / "a.mcap").stat().st_size


def test_an_encoded_sample_is_a_copy(tmp_path: Path) -> None:
    sample = frame(1, 0)
    with LogWriter(tmp_path / "a.mcap", HEADER) as writer:
        message = writer.encode(sample)
        expected = sample.pixels.copy()
        sample.pixels[:] = 0
        writer.append(message)
    (got,) = read(tmp_path / "a.mcap")
    assert (got.pixels == expected).all()  # type: ignore[attr-defined]


def test_an_existing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_text("mine")
    with pytest.raises(LogError, match="exists already"):
        LogWriter(tmp_path / "a.mcap", HEADER)
    assert (tmp_path / "a.mcap").read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be written: No such file"):
        LogWriter(tmp_path / "no" / "a.mcap", HEADER)


@pytest.mark.parametrize("sample", [event(-1, 0), event(0, -(2**62)), event(0, 2**64)])
def test_a_number_that_no_log_holds_is_named(tmp_path: Path, sample: Sample) -> None:
    with LogWriter(tmp_path / "a.mcap", HEADER) as writer:
        with pytest.raises(LogError, match="text/a: "):
            writer.write(sample)
        writer.write(event(1, 1))
    assert len(read(tmp_path / "a.mcap")) == 1


@contextmanager
def full_disk(room_bytes: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: a write then ends like one to a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_a_full_disk_is_one_error_and_leaves_a_whole_file(
    tmp_path: Path, compression: Compression
) -> None:
    path = tmp_path / "a.mcap"
    samples = [frame(n, n * 100 * MS_NS, (240, 320)) for n in range(40)]
    with (
        full_disk(2_000_000),
        LogWriter(path, HEADER, compression=compression) as writer,
        pytest.raises(LogError, match=r"a\.mcap: cannot be written: File too large"),
    ):
        for sample in samples * 9:
            writer.write(sample)
    got = read(path)
    assert len(got) > 3
    for a, b in zip(samples, got, strict=False):
        assert_same(a, b)
    assert path.stat().st_size < 2_000_000


def test_what_comes_after_a_full_disk_has_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with LogWriter(path, HEADER) as writer:
        writer.write(event(1, 0))
        with full_disk(100_000), pytest.raises(LogError):
            writer.write(frame(1, 300 * MS_NS, (480, 640)))
        writer.write(frame(2, 400 * MS_NS))
        writer.write(event(2, 500 * MS_NS))
    assert [sample.seq for sample in read(path)] == [1, 2, 2]
    with path.open("rb") as file:
        assert len(list(make_reader(file, validate_crcs=True).iter_messages())) == 3
