"""Whole runs with incidents: by hand, and by each trigger that a run can be made to pull."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from tests.parts import wait_until
from tests.pipeline.logged import read
from tests.system.recorded import RECORDED, STREAMS, complete, notes, recorder
from tests.system.run import (
    LIMIT_S,
    SIMULATED,
    Run,
    sensorium,
)

pytestmark = pytest.mark.slow

INCIDENT = """
[incident]
directory = "{folder}"
before_s = 1
after_s = 0.5
lost_sensor = true
"""


def test_incidents_by_hand_and_of_a_lost_sensor(tmp_path: Path) -> None:
    folder = tmp_path / "incidents"
    folder.mkdir()
    with Run(tmp_path, RECORDED + INCIDENT.format(folder=folder)) as run:
        run.until(complete)
        wait_until(lambda: recorder(run)["state"] == "running", LIMIT_S)
        begun = len(run.predictions)
        run.until(lambda _: len(run.predictions) > begun + 14)
        assert sensorium(tmp_path, "trigger").returncode == 0
        triggered_ns = time.monotonic_ns()
        (manual,) = whole_files(folder, 1)
        assert "manual" in manual.name
        os.kill(run.status()["microphone/room"]["pid"], signal.SIGKILL)
        lost = whole_files(folder, 2)[-1]
        run.stop()
    samples = read(manual)
    assert set(STREAMS) - {sample.stream for sample in samples} <= {"text/events"}
    assert any(isinstance(sample, Prediction) for sample in samples)
    assert triggered_ns - samples[0].t_publish_ns == pytest.approx(1e9, abs=0.6e9)
    assert samples[-1].t_publish_ns - triggered_ns == pytest.approx(0.5e9, abs=0.5e9)
    assert notes(manual)["incident"]["why"] == "manual"
    assert notes(lost)["incident"]["why"] == "lost_sensor microphone/room"
    with LogReader(manual) as reader:
        assert reader.header.origin == "incident" and reader.config is not None


def whole_files(folder: Path, n: int) -> list[Path]:
    """The incidents, oldest first, once so many are complete."""
    wait_until(lambda: len(list(folder.iterdir())) >= n, LIMIT_S)
    wait_until(lambda: all(map(is_whole, folder.iterdir())), LIMIT_S)
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def is_whole(path: Path) -> bool:
    magic = b"\x89MCAP0\r\n"
    data = path.read_bytes()
    return len(data) > 2 * len(magic) and data.endswith(magic)


def test_incidents_of_missed_deadlines_and_labels_need_no_recording(tmp_path: Path) -> None:
    folder = tmp_path / "incidents"
    folder.mkdir()
    keys = 'missed_deadline = true\nlabel = "smoke_alarm"\nscore = 0.0\n'
    config = RECORDED + INCIDENT.format(folder=folder) + keys + "[fusion]\ndeadline_ms = 0.001\n"
    with Run(tmp_path, config) as run:
        (path,) = whole_files(folder, 1)
        run.stop()
    assert notes(path)["incident"]["why"] in ("label smoke_alarm", "missed_deadline")
    assert notes(path)["incident.end"]["why"] == "label smoke_alarm; missed_deadline"


def test_without_a_folder_for_incidents_nothing_can_be_triggered(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        run.next()
        done = sensorium(tmp_path, "trigger")
        assert done.returncode == 2
        assert done.stderr == (
            "sensorium: there are no incidents in this run: set incident.directory\n"
        )
