"""Other programs' readers open our files and find in them what we wrote."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import NonSeekingReader, make_reader
from mcap_protobuf.decoder import DecoderFactory

from pipeline.config import Compression
from pipeline.log import schema
from pipeline.log.writer import LogWriter
from pipeline.sample import Frame, Sample
from tests.pipeline.log_hostile import KINDS
from tests.pipeline.logged import HEADER, chunk, event, frame

COMPRESSIONS: tuple[Compression, ...] = ("none", "lz4", "zstd")
TIME_NS = 10_000_000_000
RERUN = Path(sys.executable).parent / "rerun"
needs_rerun = pytest.mark.skipif(
    importlib.util.find_spec("rerun_sdk") is None and not RERUN.exists(),
    reason="rerun-sdk has no wheel for this Python",
)


def jpeg_frame() -> Frame:
    made = frame(3, TIME_NS)
    return Frame(
        stream="camera/jpeg", seq=3, t_capture_ns=1, t_publish_ns=TIME_NS, pixels=made.pixels
    )


@pytest.fixture(params=COMPRESSIONS)
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Every kind of sample, over several chunks."""
    samples: list[Sample] = [*KINDS, *(event(n, n * 300_000_000) for n in range(5))]
    with LogWriter(tmp_path / "a.mcap", HEADER, compression=request.param) as writer:
        for sample in samples:
            writer.write(sample)
        writer.write(jpeg_frame(), "jpeg")
        writer.write(chunk(1, TIME_NS))
        writer.note("ledger", {"captured": "7"})
    return tmp_path / "a.mcap"


def decoded(log: Path) -> dict[str, Any]:
    """{topic: the last message}, through Foxglove's reader."""
    with log.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        return {channel.topic: message for _, channel, _, message in reader.iter_decoded_messages()}


def test_the_python_reader_of_foxglove(log: Path) -> None:
    found = decoded(log)
    image, sound, text = found["camera/a"], found["microphone/a"], found["text/a"]
    assert (image.width, image.height, image.step, image.encoding) == (4, 2, 12, "bgr8")
    assert image.data == bytes(range(24))
    assert (sound.format, sound.sample_rate, sound.number_of_channels) == ("pcm-s16", 16_000, 1)
    assert np.frombuffer(sound.data, "<i2").tolist() == [1] * 320
    assert (text.message, text.level) == ("hi", 2)
    assert found["camera/jpeg"].format == "jpeg"
    assert found["camera/jpeg"].data[:2] == b"\xff\xd8"
    reading, prediction = found["readings/a"], found["prediction/a"]
    assert (list(reading.names), list(reading.values)) == (["temperature"], [21.5])
    assert {score.name: score.value for score in prediction.outputs[0].scores} == {
        "quiet": 0.75,
        "fall": 0.25,
    }
    assert found["label/truth"].label == "fall"
    seconds, nanos = divmod(HEADER.wall_minus_monotonic_ns + 1, 10**9)
    assert (found["camera/jpeg"].timestamp.seconds, found["camera/jpeg"].timestamp.nanos) == (
        seconds,
        nanos,
    )


def test_a_streaming_reader_and_all_checksums(log: Path) -> None:
    with log.open("rb") as file:
        reader = NonSeekingReader(file, validate_crcs=True)
        assert len(list(reader.iter_messages())) == len(KINDS) + 7
    with log.open("rb") as file:
        metadata = {note.name: note.metadata for note in make_reader(file).iter_metadata()}
    assert metadata["ledger"] == {"captured": "7"}
    assert metadata["sensorium"]["wall_ns"] == str(HEADER.wall_ns)


@pytest.mark.parametrize("name", ["RawImage", "CompressedImage", "RawAudio", "Log"])
def test_schemas_are_those_that_foxglove_publishes(name: str) -> None:
    module = importlib.import_module(f"foxglove_schemas_protobuf.{name}_pb2")
    theirs = getattr(module, name).DESCRIPTOR
    ours = schema.message_class(f"foxglove.{name}").DESCRIPTOR
    public = {field.number: (field.name, field.type) for field in theirs.fields}
    assert {n: (f.name, f.type) for n, f in ours.fields_by_number.items() if n < 100} == public
    for enum in theirs.enum_types:
        levels = {value.name: value.number for value in enum.values}
        assert {v.name: v.number for v in ours.enum_types_by_name[enum.name].values} == levels


def run_rerun(home: Path, *arguments: object) -> str:
    """Its output; without reports to its makers, which a home of its own says."""
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    command = [str(RERUN), *map(str, arguments)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@needs_rerun
def test_the_importer_of_rerun(log: Path) -> None:
    converted = log.with_suffix(".rrd")
    run_rerun(log.parent, "analytics", "disable")
    run_rerun(log.parent, "mcap", "convert", log, "-o", converted)
    run_rerun(log.parent, "rrd", "verify", converted)
    shown = run_rerun(log.parent, "rrd", "print", converted)
    lines = {line.split(" - /")[1] for line in shown.splitlines() if line.startswith("Chunk(")}
    for entity, component in (
        ("camera/a", "Image:buffer"),
        ("camera/jpeg", "EncodedImage:blob"),
        ("text/a", "TextLog:text"),
        ("microphone/a", "foxglove.RawAudio:message"),
        ("readings/a", "sensorium.Reading:message"),
        ("prediction/a", "sensorium.Prediction:message"),
        ("label/truth", "sensorium.Label:message"),
    ):
        assert any(line.startswith(entity + " ") and component in line for line in lines), shown


@needs_rerun
def test_the_command_line_reader_of_rerun(log: Path) -> None:
    run_rerun(log.parent, "analytics", "disable")
    checked = run_rerun(log.parent, "mcap", "check", "--full", log)
    assert "ok" in checked
    assert "camera/a" in checked
    shown = run_rerun(log.parent, "mcap", "info", log)
    assert f"Messages                 {len(KINDS) + 7}" in shown
    assert "foxglove.CompressedImage" in shown
