"""`sensorium calibrate av` with live streams: a film and a sound file, played by two sensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.loader import load
from tests.parts import made_clip
from tests.pipeline.claps import RATE_HZ, SECOND_NS, moments_ns, pictures, wave
from tests.system.run import Run, children, left_behind, sensorium

pytestmark = pytest.mark.slow

CONFIG = """name = "hub"
[camera.door]
source = "{folder}/claps.mp4"
loop = true
max_age_ms = 2000
[microphone.room]
source = "{folder}/claps.wav"   # beside the door
loop = true
[out]
jsonl = "-"
"""
N_PAIRS = 6


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A film of claps at 30 Hz, and its sound in a file of its own."""
    import soundfile

    at_ns = moments_ns(12, seed=3)
    end_ns = at_ns[-1] + SECOND_NS
    made_clip(tmp_path / "claps.mp4", (f.pixels for f in pictures(at_ns, end_ns)), 30.0)
    pcm = np.clip(wave(at_ns, end_ns), -32768, 32767).astype(np.int16)
    soundfile.write(tmp_path / "claps.wav", pcm, RATE_HZ)
    return CONFIG.format(folder=tmp_path)


def calibrated(folder: Path, *arguments: str) -> dict[str, Any]:
    path = str(folder / "hub.toml")
    done = sensorium(folder, "calibrate", "av", path, "--pairs", str(N_PAIRS), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_its_own_sensors_are_started_measured_and_ended(tmp_path: Path, config: str) -> None:
    (tmp_path / "hub.toml").write_text(config)
    found = calibrated(tmp_path)
    # Two processes do not start at one moment: what is found is right, but not known here.
    assert abs(found["delay_ms"]) < 1000
    assert found["pairs"] >= N_PAIRS
    assert "# beside the door" in (tmp_path / "hub.toml").read_text()
    streams = load(tmp_path / "hub.toml").streams
    assert {s: line.offset_ms for s, line in streams.items()} == found["offset_ms"]
    assert not children(tmp_path)
    assert left_behind(tmp_path) == []


def test_a_run_that_is_going_is_listened_to_and_goes_on(tmp_path: Path, config: str) -> None:
    with Run(tmp_path, config) as run:
        run.until(lambda p: len(p["inputs"]) == 2)
        first = calibrated(tmp_path, "--dry-run")
        second = calibrated(tmp_path)
        assert not first["written"]
        # The same two processes: a delay is measured as it was before.
        assert second["delay_ms"] == pytest.approx(first["delay_ms"], abs=40)
        run.until(lambda p: len(p["inputs"]) == 2)
    assert second["offset_ms"] != {}
