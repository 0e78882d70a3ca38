"""A covered camera, a required sensor that crashes, and what a person is told of them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.parts import made_clip
from tests.system.run import (
    COMMAND,
    LIMIT_S,
    SIMULATED,
    Run,
    children,
    environment,
    left_behind,
    sensorium,
    until,
)

pytestmark = pytest.mark.slow

COVERED = """
[camera.hall]
source = "{clip}"
loop = true
rate_hz = 10
"""
STREAM = "camera/hall"


@pytest.fixture
def config(tmp_path: Path) -> str:
    """The simulated home, and a camera that sees nothing; its own room camera is left out."""
    black = (np.full((48, 64, 3), n % 2, np.uint8) for n in range(20))
    clip = made_clip(tmp_path / "black.mp4", black)
    room = SIMULATED.index("[microphone.room]")
    return '\nname = "home"\n' + COVERED.format(clip=clip) + SIMULATED[room:]


def test_a_covered_camera_is_named_masked_and_shown(tmp_path: Path, config: str) -> None:
    with Run(tmp_path, config) as run:
        run.until(lambda p: STREAM in p["inputs"])
        stuck = run.until(lambda p: p["faults"])
        assert stuck["faults"] == {STREAM: ["black"]}
        assert stuck["missing"] == [STREAM]
        run.until(lambda p: p["missing"] == [STREAM] and len(p["inputs"]) == 3)
        status = run.status()[STREAM]
        assert (status["state"], status["faults"]) == ("stuck", ["black"])
        assert status["counters"]["faults.black"] == 1
        assert status["last_error"] == "black: its picture is black"
        table = sensorium(tmp_path, "status").stdout
        assert "stuck (black)" in table
        screen = " ".join(sensorium(tmp_path, "top", "--once").stdout.split())
        assert "missing: black" in screen
        assert "camera/hall is black" in screen
        assert "microphone/room" in screen


def test_a_fault_is_named_and_used_where_the_configuration_says_so(
    tmp_path: Path, config: str
) -> None:
    with Run(tmp_path, config, "--set", "camera.hall.mask_faults=[]") as run:
        stuck = run.until(lambda p: p["faults"])
        assert STREAM in stuck["inputs"]
        assert stuck["missing"] == []


def test_top_says_that_the_run_has_ended(tmp_path: Path) -> None:
    assert "running: none" in sensorium(tmp_path, "top", "--once").stderr
    with Run(tmp_path, SIMULATED) as run:
        run.next()
        with subprocess.Popen(
            [*COMMAND, "top"], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
        ) as top:
            run.until(lambda p: p["tick"] > 20)
            run.stop()
            shown, _ = top.communicate(timeout=LIMIT_S)
        assert top.returncode == 0
        assert "the run has ended" in shown


def test_a_required_sensor_that_keeps_crashing_ends_the_run(tmp_path: Path) -> None:
    path, stream = tmp_path / "hub.toml", "microphone/room"
    path.write_text(SIMULATED.replace("max_age_ms = 500\n[text", "required = true\n[text"))
    with subprocess.Popen(
        [*COMMAND, "run", str(path), "--set", "out.jsonl="],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(5):
            until(lambda: stream in children(tmp_path).values())
            pids = {name: pid for pid, name in children(tmp_path).items()}
            os.kill(pids[stream], signal.SIGKILL)
            until(lambda pid=pids[stream]: pid not in children(tmp_path))  # type: ignore[misc]
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    assert f"sensorium: {stream} is required and has failed: it was ended by SIGKILL" in errors
    assert left_behind(tmp_path) == []
    assert not children(tmp_path)
