"""What a killed writer or a damaged disk leaves can be read again, and the loss is said."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.cli import main
from pipeline.config import Compression
from pipeline.log.form import LogError
from pipeline.log.reader import LogReader
from pipeline.log.repair import repair
from pipeline.log.writer import LogWriter
from pipeline.sample import Sample
from tests.pipeline.logged import HEADER, assert_same, chunk, event, frame, read, write

MS_NS = 1_000_000
COMPRESSIONS: tuple[Compression, ...] = ("none", "lz4", "zstd")


def small(n: int = 8, step_ns: int = 80 * MS_NS) -> list[Sample]:
    """A few samples over several chunks."""
    samples: list[Sample] = []
    for i in range(n):
        samples += [event(i, i * step_ns), frame(i, i * step_ns + 1, (6, 8))]
    return samples


def last_ns(samples: list[Sample]) -> int:
    return max((sample.t_publish_ns for sample in samples), default=0)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_log_cut_anywhere_gives_its_beginning(tmp_path: Path, compression: Compression) -> None:
    whole = write(tmp_path / "whole.mcap", small(), compression)
    data = (tmp_path / "whole.mcap").read_bytes()
    n_before = 0
    for size_bytes in range(8, len(data), 23):
        cut, out = tmp_path / "cut.mcap", tmp_path / "out.mcap"
        out.unlink(missing_ok=True)
        cut.write_bytes(data[:size_bytes])
        found = repair(cut, out)
        assert not found.whole
        assert found.messages >= n_before  # more bytes give no fewer samples
        n_before = found.messages
        got = read(out) if found.messages else []
        assert len(got) == found.messages
        for a, b in zip(whole, got, strict=False):
            assert_same(a, b)
    assert n_before == len(whole)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_unfinished_chunk_gives_all_its_messages(
    tmp_path: Path, compression: Compression
) -> None:
    path = tmp_path / "a.mcap"
    writer = LogWriter(path, HEADER, compression=compression)
    for sample in small(3, MS_NS):
        writer.write(sample)
    found = repair(path)
    assert found.messages == 6
    assert found.repaired == str(tmp_path / "a.repaired.mcap")
    assert read(tmp_path / "a.repaired.mcap")[0] == event(0, 0)
    writer.close()
    assert repair(path).whole


def test_a_whole_log_is_left_alone(tmp_path: Path) -> None:
    samples = write(tmp_path / "a.mcap", small())
    found = repair(tmp_path / "a.mcap")
    assert (found.whole, found.messages, found.repaired, found.exit_code) == (True, 16, "", 0)
    assert os.listdir(tmp_path) == ["a.mcap"]
    copied = repair(tmp_path / "a.mcap", tmp_path / "b.mcap")
    assert copied.whole
    assert len(read(tmp_path / "b.mcap")) == len(samples)


def test_a_damaged_chunk_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    write(path, (event(n, n * 50 * MS_NS, text=f"number {n:02d}") for n in range(40)))
    data = bytearray(path.read_bytes())
    data[data.index(b"number 12")] ^= 1
    path.write_bytes(data)
    found = repair(path)
    assert found.exit_code == 3
    lost = found.lost_messages
    assert 1 <= lost <= 6
    assert found.messages == 40 - lost
    assert found.lost_s is not None
    assert found.lost_s == pytest.approx((lost + 1) * 0.05)
    assert "checksum" in found.damage[0]
    seqs = [sample.seq for sample in read(tmp_path / "a.repaired.mcap")]
    assert 12 not in seqs
    assert seqs[0] == 0
    assert seqs[-1] == 39


def test_a_length_that_lies_costs_one_chunk_at_most(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    write(path, (event(n, n * 50 * MS_NS, text=f"number {n:02d}") for n in range(40)))
    data = path.read_bytes()
    starts = [
        at
        for at in range(len(data))
        if data[at : at + 1] == b"\x06" and data[at + 5 : at + 9] == bytes(4)
    ]
    chunk_at = next(at for at in starts if data[at + 9 : at + 17].endswith(b"\x18"))
    for length in (0, 1, 5, 2**20, 2**40, 2**63):
        path.write_bytes(data[: chunk_at + 1] + length.to_bytes(8, "little") + data[chunk_at + 9 :])
        (tmp_path / "a.repaired.mcap").unlink(missing_ok=True)
        found = repair(path)
        assert 33 <= found.messages <= 40
        assert not found.whole


def test_a_lost_header_leaves_the_wall_clock(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    write(path, [event(1, 7)])
    data = bytearray(path.read_bytes())
    data[data.index(b"monotonic_ns") - 8] = 0xFF
    path.write_bytes(data)
    assert repair(path).messages == 1
    with LogReader(tmp_path / "a.repaired.mcap") as reader:
        assert reader.header.origin == "repaired"
        (got,) = reader.samples()
    assert got.t_publish_ns == HEADER.wall_minus_monotonic_ns + 7


def test_a_summary_that_names_another_stream_than_its_chunks_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    expected = write(path, [event(n, n * 100 * MS_NS) for n in range(5)])
    data = bytearray(path.read_bytes())
    at = data.rindex(b"text/a")
    data[at : at + 6] = b"text/b"
    data[-12:-8] = bytes(4)  # no checksum tells
    path.write_bytes(data)
    found = repair(path)
    assert (found.exit_code, found.lost_messages) == (3, 0)
    assert "the indexes at its end" in found.damage[0]
    assert read(Path(found.repaired)) == expected


def test_notes_are_kept_and_the_repair_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with LogWriter(path, replace(HEADER, bundle_sha256="ab")) as writer:
        writer.write(event(1, 7))
        writer.note("ledger", {"captured": "7"})
        writer.write(event(2, 8))
    path.write_bytes(path.read_bytes()[:-30])
    repair(path)
    with LogReader(tmp_path / "a.repaired.mcap") as reader:
        assert reader.header == replace(HEADER, bundle_sha256="ab")
        notes = dict(reader.notes)
    assert notes["ledger"] == {"captured": "7"}
    assert notes["repair"]["file"] == str(path)
    assert "indexes" in notes["repair"]["damage"] or "closed" in notes["repair"]["damage"]


def test_nothing_to_recover(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mcap"
    LogWriter(path, HEADER).close()
    path.write_bytes(path.read_bytes()[:20])
    assert main(["repair", str(path)]) == 1
    assert "nothing can be recovered" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["a.mcap"]


def test_what_is_no_log_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert main(["repair", str(tmp_path / "a")]) == 2
    assert capsys.readouterr().err == f"sensorium: {tmp_path / 'a'} is empty\n"


def test_the_command_tells_the_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "a.mcap", tmp_path / "b.mcap"
    write(path, small())
    path.write_bytes(path.read_bytes()[:-2500])
    assert main(["repair", str(path), "-o", str(out), "--json"]) == 3
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told["repaired"] == str(out)
    assert told["messages"] == len(read(out))
    assert main(["repair", str(path), "-o", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_target_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.mcap", small())
    with pytest.raises(LogError, match="cannot be written"):
        repair(tmp_path / "a.mcap", tmp_path / "no" / "b.mcap")


def kill_after(path: Path, compression: Compression, n_lines: int) -> tuple[int, int]:
    """Kill a writer when it has said so many lines; its last line, whole: seq and time."""
    command = [sys.executable, "-m", "tests.pipeline.log_child", str(path), compression]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(n_lines)]
        process.kill()
        lines += [line for line in process.stdout if line.endswith("\n")]
    seq, t_ns = lines[-1].split()
    return int(seq), int(t_ns)


def killed(tmp_path: Path, compression: Compression, rng: random.Random) -> None:
    path = tmp_path / "a.mcap"
    seq, t_ns = kill_after(path, compression, rng.randint(1, 400))
    with pytest.raises(LogError, match="cut off or was not closed"):
        LogReader(path)
    found = repair(path)
    assert found.exit_code == 3
    got = read(tmp_path / "a.repaired.mcap")
    assert len(got) == found.messages >= 3 * (seq + 1)  # all that the writer had said
    assert found.lost_messages == 0
    assert (t_ns - last_ns(got)) / 1e9 <= 0.5
    assert found.lost_s is not None
    assert found.lost_s <= 0.5
    text = found.text()
    assert f"lost: at most {found.lost_s:.2f} s, at least 0 messages" in text


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_killed_writer_leaves_all_it_was_given(tmp_path: Path, compression: Compression) -> None:
    killed(tmp_path, compression, random.Random(compression))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_twenty_killed_writers(tmp_path: Path, seed: int) -> None:
    killed(tmp_path, COMPRESSIONS[seed % 3], random.Random(seed))


def test_sound_that_is_cut_keeps_its_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    samples = [chunk(n, n * 20 * MS_NS) for n in range(100)]
    write(path, samples, "lz4")
    path.write_bytes(path.read_bytes()[:-6000])
    found = repair(path)
    got = read(tmp_path / "a.repaired.mcap")
    assert len(got) == found.messages > 50
    for a, b in zip(samples, got, strict=False):
        assert_same(a, b)
