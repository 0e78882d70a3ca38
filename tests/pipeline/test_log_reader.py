"""Reading a log: in order, a part of it, in little memory; and what is no log is named."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from mcap.writer import Writer

from pipeline.log import merge
from pipeline.log.form import LogError, LogHeader
from pipeline.log.reader import LogReader
from pipeline.log.writer import LogWriter
from pipeline.sample import Sample
from tests.pipeline.logged import HEADER, chunk, event, frame, read, write

MS_NS = 1_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Ten seconds of text at 10 Hz and sound at 50 Hz, and one frame."""
    samples: list[Sample] = [event(n, n * 100 * MS_NS) for n in range(100)]
    samples += [chunk(n, n * 20 * MS_NS) for n in range(500)]
    write(tmp_path / "a.mcap", [*samples, frame(7, 3_000 * MS_NS)])
    return tmp_path / "a.mcap"


def test_streams_are_summed_up(log: Path) -> None:
    with LogReader(log) as reader:
        streams = reader.streams
    assert list(streams) == ["camera/a", "microphone/a", "text/a"]
    text, sound = streams["text/a"], streams["microphone/a"]
    assert (text.schema, text.n_messages) == ("foxglove.Log", 100)
    assert (text.first_publish_ns, text.last_publish_ns) == (0, 9_900 * MS_NS)
    assert (sound.first_publish_ns, sound.last_publish_ns) == (20 * MS_NS, 10_000 * MS_NS)
    assert streams["camera/a"].first_publish_ns == 3_000 * MS_NS


def test_the_first_and_last_time_hold_across_overlapping_chunks(tmp_path: Path) -> None:
    samples = [event(0, 0, "text/b"), event(1, 250 * MS_NS), event(2, 400 * MS_NS, "text/b")]
    late = [event(0, 200 * MS_NS), event(9, 10 * MS_NS, "text/c")]
    write(tmp_path / "a.mcap", [*samples, *late])
    with LogReader(tmp_path / "a.mcap") as reader:
        assert reader.streams["text/a"].first_publish_ns == 200 * MS_NS
        assert reader.streams["text/a"].last_publish_ns == 250 * MS_NS


def test_a_part_is_read(log: Path) -> None:
    with LogReader(log) as reader:
        part = list(reader.samples(["text/a"], start_ns=1_000 * MS_NS, end_ns=2_000 * MS_NS))
        assert [sample.seq for sample in part] == list(range(10, 20))
        assert [sample.seq for sample in reader.samples({"camera/a"})] == [7]
        assert list(reader.samples([], start_ns=0)) == []
        assert len(list(reader.samples(start_ns=9_950 * MS_NS))) == 3


def test_an_unknown_stream_is_named(log: Path) -> None:
    with LogReader(log) as reader, pytest.raises(LogError, match=r"no stream 'x': camera/a, mic"):
        next(reader.samples(["x"]))


def test_a_stream_may_change_its_form(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "a.mcap", HEADER) as writer:
        writer.write(frame(1, 0))
        writer.write(frame(2, 1), "jpeg")
    with LogReader(tmp_path / "a.mcap") as reader:
        assert reader.streams["camera/a"].n_messages == 2
        assert reader.streams["camera/a"].schema == "foxglove.CompressedImage"
        assert [sample.seq for sample in reader.samples()] == [1, 2]


def test_an_empty_log_is_a_log(tmp_path: Path) -> None:
    LogWriter(tmp_path / "a.mcap", HEADER).close()
    with LogReader(tmp_path / "a.mcap") as reader:
        assert (reader.streams, list(reader.samples()), reader.config) == ({}, [], None)


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    size_px = (120, 160)
    frame_bytes = size_px[0] * size_px[1] * 3
    write(tmp_path / "a.mcap", (frame(n, n * 33 * MS_NS, size_px) for n in range(600)))
    with LogReader(tmp_path / "a.mcap") as reader:
        tracemalloc.start()
        n_bytes = sum(sample.pixels.nbytes for sample in reader.samples())  # type: ignore[attr-defined]
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert n_bytes == 600 * frame_bytes
    assert peak_bytes < 30 * frame_bytes  # two chunks of eight frames, and what is decoded


def test_chunks_without_end_at_one_time_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "MAX_OVERLAP_BYTES", 20_000_000)
    with LogWriter(tmp_path / "a.mcap", HEADER) as writer:
        for n in range(6):
            writer.write(frame(n, 0, (1080, 1920)))
            writer.note("cut", {})
    with LogReader(tmp_path / "a.mcap") as reader, pytest.raises(LogError, match="same time"):
        next(reader.samples())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"no\.mcap: cannot be read: No such file"):
        LogReader(tmp_path / "no.mcap")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(LogError, match="is no file"):
            LogReader(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "is empty"), (b"RIFF....WAVEfmt ", "is no MCAP file"), (b"\x89MC", "is no MCAP file")],
)
def test_what_is_no_log_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.mcap").write_bytes(content)
    with pytest.raises(LogError, match=why):
        LogReader(tmp_path / "a.mcap")


def test_a_file_of_another_program_is_named(tmp_path: Path) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        channel_id = writer.register_channel("/chatter", "json", 0)
        writer.add_message(channel_id, 1, b"{}", 1)
        writer.finish()
    with pytest.raises(LogError, match="another program: try `sensorium import`"):
        LogReader(tmp_path / "a.mcap")


@pytest.mark.parametrize("cut_bytes", [1, 8, 20, 37, 500, 2000])
def test_a_truncated_log_says_what_to_do(log: Path, cut_bytes: int) -> None:
    data = log.read_bytes()
    log.write_bytes(data[:-cut_bytes])
    with pytest.raises(
        LogError, match=r"cut off or was not closed: run `sensorium repair .*a\.mcap`"
    ):
        LogReader(log)


def test_a_damaged_chunk_says_what_to_do(log: Path) -> None:
    data = bytearray(log.read_bytes())
    data[data.index(b"hi")] ^= 1
    log.write_bytes(data)
    with LogReader(log) as reader, pytest.raises(LogError, match=r"checksum differs.*repair"):
        list(reader.samples())


def test_a_damaged_summary_says_what_to_do(log: Path) -> None:
    data = bytearray(log.read_bytes())
    data[-200] ^= 1
    log.write_bytes(data)
    with pytest.raises(LogError, match=r"summary's checksum differs.*repair"):
        LogReader(log)


def test_a_header_that_cannot_be_understood_is_named(tmp_path: Path) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.add_metadata("sensorium", {"monotonic_ns": "now", "wall_ns": "0"})
        writer.finish()
    with pytest.raises(LogError, match="header cannot be understood"):
        LogReader(tmp_path / "a.mcap")


def test_a_configuration_of_another_version_does_not_hide_the_samples(tmp_path: Path) -> None:
    header = LogHeader(monotonic_ns=1, wall_ns=2, config='{"name": "x", "new_key": 1}')
    with LogWriter(tmp_path / "a.mcap", header) as writer:
        writer.write(event(1, 1))
    with LogReader(tmp_path / "a.mcap") as reader:
        assert len(list(reader.samples())) == 1
        with pytest.raises(LogError, match=r"configuration is not one of this version.*new_key"):
            _ = reader.config


def test_foreign_channels_are_listed_and_passed_over(tmp_path: Path) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.add_metadata("sensorium", {"monotonic_ns": "0", "wall_ns": "0"})
        schema_id = writer.register_schema("other.Thing", "jsonschema", b"{}")
        channel_id = writer.register_channel("/chatter", "json", schema_id)
        writer.add_message(channel_id, 1, b"{}", 1)
        writer.finish()
    with LogReader(tmp_path / "a.mcap") as reader:
        assert reader.streams["/chatter"].schema == "other.Thing"
        assert list(reader.samples()) == []
    assert read(tmp_path / "a.mcap") == []
