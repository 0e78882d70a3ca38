"""Whole runs that are recorded: what is in the files."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.bus.publisher import Publisher
from pipeline.config import Config
from pipeline.loader import load
from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from pipeline.sample import AudioChunk, Frame, Health, Reading, Sample, TextEvent, Tokens
from tests.parts import wait_until
from tests.pipeline.logged import read
from tests.system.recorded import RECORDED, STREAMS, assert_closed, complete, notes, of, recorder
from tests.system.run import (
    COMMAND,
    LIMIT_S,
    SIMULATED,
    Run,
    environment,
    left_behind,
    sensorium,
)


def test_the_demo_is_recorded_whole_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    done = sensorium(tmp_path, "demo", "--seconds", "2", "--json", "--record", str(path))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    samples = read(path)
    assert_closed(notes(path)["ledger"], samples)
    assert result["recording"]["files"] == [str(path)]
    assert result["recording"]["dropped"] == {}
    assert result["recording"]["messages"] == len(samples)
    assert result["recording"]["bytes"] == path.stat().st_size
    for stream in STREAMS:  # from the very first on, and more than the node was given
        seqs = [sample.seq for sample in of(samples, stream)]
        assert seqs == list(range(len(seqs)))
        assert len(seqs) >= result["streams"][stream]["delivered"]
    recorded = {(s.stream, s.seq, s.t_capture_ns) for s in samples}
    predictions = [sample for sample in samples if isinstance(sample, Prediction)]
    assert len(predictions) >= result["predictions"]
    used = {(s, *x) for p in predictions for s, window in p.inputs.items() for x in window}
    assert used and used <= recorded
    last = {sample.process: sample.state for sample in samples if isinstance(sample, Health)}
    assert last == dict.fromkeys(["node", *STREAMS], "stopped")
    with LogReader(path) as reader:
        assert reader.config is not None and reader.config.name == "demo"
        assert len(reader.header.bundle_sha256) == 64
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_tokens_are_recorded_instead_of_what_they_were_made_of(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    config = RECORDED.replace('"lossless"', '"tokens"', 1)
    with Run(tmp_path, config, "--record", str(path)) as run:
        run.until(complete)
        run.until(lambda prediction: prediction["inputs"]["camera/room"][0][0] > 20)
        run.stop()
    samples = read(path)
    assert_closed(notes(path)["ledger"], samples)
    assert not of(samples, "camera/room")
    tokens = {s.t_capture_ns: s for s in samples if isinstance(s, Tokens)}
    windows = [p.inputs.get("camera/room", []) for p in samples if isinstance(p, Prediction)]
    used = {t_capture_ns for window in windows for _, t_capture_ns in window}
    assert used and used <= set(tokens)
    assert {sample.of for sample in tokens.values()} == {"camera/room"}


def test_nothing_raw_is_recorded_by_default_and_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(SIMULATED)
    none = sensorium(tmp_path, "run", "hub.toml", "--record", "x.mcap", cwd=tmp_path)
    assert none.returncode == 2
    assert none.stderr == (
        'sensorium: nothing to record: every stream has record = "none"; set, say,'
        ' camera.room.record = "lossless"\n'
    )
    (tmp_path / "x.mcap").touch()
    there = sensorium(tmp_path, "demo", "--record", "x.mcap", cwd=tmp_path)
    assert (there.returncode, there.stderr.count("\n")) == (2, 1)
    assert "x.mcap exists; give another name" in there.stderr
    alone = sensorium(tmp_path, "record", "hub.toml", "-o", "y.mcap", cwd=tmp_path)
    assert alone.returncode == 2 and "nothing to record" in alone.stderr
    asked = sensorium(
        tmp_path, "record", "hub.toml", "-o", "y.mcap", "--streams", "predictions", cwd=tmp_path
    )
    assert asked.returncode == 2 and "nothing runs here" in asked.stderr
    assert left_behind(tmp_path) == []


class Studio:
    """Publishes known samples on the endpoints of a configuration, and keeps what it sent."""

    def __init__(self, config: Config) -> None:
        self.publishers = {s: Publisher(config.endpoint(s), slots=64) for s in config.streams}
        self.sent: list[Sample] = []
        self._random = np.random.default_rng(5)

    def send(self, sample: Sample) -> None:
        self.publishers[sample.stream].send(sample)
        self.sent.append(sample)

    def play(self, n: int) -> None:
        for i in range(n):
            times: dict[str, Any] = {"seq": i, "t_capture_ns": 1000 + i, "t_publish_ns": 0}
            pixels = self._random.integers(0, 256, (120, 160, 3), np.uint8)
            self.send(Frame(stream="camera/room", **times, pixels=pixels, order="rgb"))
            pcm = self._random.integers(-(2**15), 2**15, (160, 2), np.int16)
            self.send(AudioChunk(stream="microphone/room", **times, pcm=pcm, rate_hz=16_000))
            fields = {"n": i, "deep": {"a": [1, None, 0.5]}}
            self.send(TextEvent(stream="text/events", **times, text=f"grüße {i}", fields=fields))
            values = self._random.random(2).astype(np.float32)
            units = ("C", "%")
            self.send(
                Reading(
                    stream="readings/climate", **times, values=values, names=("t", "h"), units=units
                )
            )

    def wait_for_recorder(self) -> None:
        for publisher in self.publishers.values():
            topics: list[bytes] = []
            wait_until(partial(_has_subscribed, publisher, topics), LIMIT_S)

    def close(self) -> None:
        for publisher in self.publishers.values():
            publisher.close()


def same(a: Sample, b: Sample) -> bool:
    """Whether two samples of one stream hold the same, but for the time of publication."""
    match a, b:
        case Frame(), Frame():
            return a.order == b.order and np.array_equal(a.pixels, b.pixels)
        case AudioChunk(), AudioChunk():
            return a.rate_hz == b.rate_hz and np.array_equal(a.pcm, b.pcm)
        case Reading(), Reading():
            return (a.names, a.units) == (b.names, b.units) and np.array_equal(a.values, b.values)
        case TextEvent(), TextEvent():
            return (a.text, a.fields) == (b.text, b.fields)
    return False


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_what_is_recorded_beside_a_run_is_what_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "hub.toml").write_text(RECORDED)
    studio = Studio(load(tmp_path / "hub.toml"))
    out = tmp_path / "x.mcap"
    command = [*COMMAND, "record", str(tmp_path / "hub.toml"), "-o", str(out), "--json"]
    with subprocess.Popen(
        [*command, "--set", f"record.compression={compression}"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
    ) as process:
        studio.wait_for_recorder()
        studio.play(30)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=LIMIT_S)
    studio.close()
    result = json.loads(stdout)
    assert (process.returncode, result["error"], result["dropped"]) == (0, "", {})
    samples = read(out)
    assert_closed(notes(out)["ledger"], samples)
    for stream in STREAMS:
        pairs = list(zip(of(samples, stream), of(studio.sent, stream), strict=True))
        assert len(pairs) == 30
        assert all(a.seq == b.seq and a.t_capture_ns == b.t_capture_ns for a, b in pairs)
        assert all(same(a, b) for a, b in pairs)


def _has_subscribed(publisher: Publisher, topics: list[bytes]) -> bool:
    """Whether somebody reads the samples, and not the health alone."""
    while publisher._socket.poll(0):
        topics.append(publisher._socket.recv())
    return any(not topic.startswith(b"\x01health") for topic in topics)


@pytest.mark.slow
def test_a_muted_stream_is_absent_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    with Run(tmp_path, RECORDED, "--record", str(path)) as run:
        run.until(complete)
        assert sensorium(tmp_path, "mute", "microphone/room").returncode == 0
        muted_ns = time.monotonic_ns()
        run.until(lambda p: p["missing"] == ["microphone/room"])
        begun = len(run.predictions)
        run.until(lambda _: len(run.predictions) > begun + 10)
        unmuted_ns = time.monotonic_ns()
        assert sensorium(tmp_path, "unmute", "microphone/room").returncode == 0
        run.until(complete)
        run.stop()
    samples = read(path)
    heard_ns = [sample.t_publish_ns for sample in of(samples, "microphone/room")]
    assert heard_ns[0] < muted_ns and heard_ns[-1] > unmuted_ns
    assert not [t for t in heard_ns if muted_ns < t < unmuted_ns]
    seen_ns = [sample.t_publish_ns for sample in of(samples, "camera/room")]
    assert [t for t in seen_ns if muted_ns < t < unmuted_ns]
    assert_closed(notes(path)["ledger"], samples)


@pytest.mark.slow
def test_segments_and_budget_of_a_whole_run(tmp_path: Path) -> None:
    keys = f'\n[record]\nfile = "{tmp_path}/h-{{time}}.mcap"\nsegment_mb = 2\nbudget_mb = 6\n'
    with Run(tmp_path, RECORDED + keys) as run:
        run.until(lambda _: recorder(run)["counters"].get("files", 0) > 5)
        run.stop()
    files = sorted(tmp_path.glob("h-*.mcap"), key=lambda path: path.stat().st_mtime_ns)
    assert sum(path.stat().st_size for path in files) <= 6_500_000
    samples = [sample for path in files for sample in read(path)]
    seqs = [sample.seq for sample in of(samples, "camera/room")]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) and seqs[0] > 0
    assert "ledger" in notes(files[-1])
