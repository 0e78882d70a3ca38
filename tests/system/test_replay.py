"""Real runs, recorded and replayed: into the node, and onto the bus for another run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.home import config
from tests.pipeline.live_log import live_log
from tests.system.run import COMMAND, LIMIT_S, Run, environment, left_behind, sensorium

EXTERNAL = """
name = "stage"
[camera.room]
source = "external"
[microphone.room]
source = "external"
[text.events]
source = "external"
[readings.climate]
source = "external"
max_age_ms = 5000
[out]
jsonl = "-"
"""
STREAMS = ("camera/room", "microphone/room", "text/events", "readings/climate")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("log") / "home.mcap"
    live_log(made, config(), duration_s=6.0)
    return made


def onto_the_bus(folder: Path, log: Path, *arguments: str) -> subprocess.Popen[str]:
    stage = folder / "stage.toml"
    stage.write_text(EXTERNAL)
    return subprocess.Popen(
        [*COMMAND, "replay", str(log), "--bus", "--config", str(stage), "--json", *arguments],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(replay: subprocess.Popen[str]) -> dict[str, Any]:
    said, errors = replay.communicate(timeout=LIMIT_S)
    assert replay.returncode == 0, errors
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def settled(run: Run, published: dict[str, int]) -> dict[str, dict[str, Any]]:
    """The status in which the node has told of every sample; it reports once a second."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        status = run.status()
        counters = status["node"]["counters"]
        if all(counters[f"{stream}.captured"] == n for stream, n in published.items()):
            return status
        assert time.monotonic() < deadline_s, (counters, published)


@pytest.mark.slow
def test_a_log_on_the_bus_feeds_a_run(tmp_path: Path, log: Path) -> None:
    with Run(tmp_path, EXTERNAL) as run:
        run.until(lambda p: len(p["missing"]) == 4)
        with onto_the_bus(tmp_path, log, "--duration", "3") as replay:
            complete = run.until(lambda p: not p["missing"])
            assert 0 < complete["latency_ms"]["camera/room"]["publish"] < 100
            found = ended(replay)
        assert set(found["published"]) == set(STREAMS)
        assert 2.9 < found["wall_s"] < 5
        run.until(lambda p: "camera/room" in p["missing"])
        status = settled(run, found["published"])
    for stream, n in found["published"].items():
        assert n > 0
        assert (status[stream]["state"], status[stream]["counters"]["captured"]) == ("stopped", n)
    assert left_behind(tmp_path) == []


def test_a_replay_may_wait_for_its_run_loop_and_be_fast(tmp_path: Path, log: Path) -> None:
    """Twice the speed, half a second, two streams under the names that the run has."""
    part = ("--start", "1", "--duration", "0.5", "--speed", "2", "--loop")
    chosen = ("--streams", "camera/room,text/events")
    with onto_the_bus(tmp_path, log, *part, *chosen) as replay:
        deadline_s = time.monotonic() + LIMIT_S
        while not list(tmp_path.rglob("camera-room.ipc")):
            assert time.monotonic() < deadline_s, "the replay has bound no endpoint"
        with Run(tmp_path, EXTERNAL) as run:
            seen = run.until(lambda p: "camera/room" in p["inputs"])
            assert "microphone/room" in seen["missing"]
            # A quarter of a second has 7 frames: 40 have come round a few times.
            run.until(lambda p: p["inputs"].get("camera/room", [[0]])[0][0] > 40)
            replay.send_signal(signal.SIGINT)
            found = ended(replay)
        assert found["rounds"] >= 4
        assert set(found["published"]) == {"camera/room", "text/events"}
    assert left_behind(tmp_path) == []


def recorded_demo(folder: Path, seconds: int, *arguments: str) -> Path:
    log = folder / "demo.mcap"
    demo = ["demo", "--seconds", str(seconds), "--json", "--record", str(log)]
    done = sensorium(folder, *demo, *arguments, limit_s=60 + seconds)
    assert done.returncode == 0, done.stderr
    return log


def replayed(folder: Path, log: Path) -> dict[str, Any]:
    done = sensorium(folder, "replay", str(log), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("form", ["lossless", pytest.param("tokens", marks=pytest.mark.slow)])
def test_a_recorded_run_replays_as_it_was(tmp_path: Path, form: str) -> None:
    forms = [f"--set={s}.record={form}" for s in ("camera.room", "microphone.room")]
    found = replayed(tmp_path, recorded_demo(tmp_path, 2, *forms))
    assert found["predictions"] >= 19
    # The sensors waited for the recorder, so nothing that was used is missing.
    assert found["lacking"] == {}
    assert found["differences"]["inputs"] == found["differences"]["scores"] == 0
    assert found["differences"]["max_score"] <= 1e-5


@pytest.mark.slow
def test_a_recording_replays_five_times_as_fast_and_each_time_the_same(tmp_path: Path) -> None:
    log = recorded_demo(tmp_path, 20)
    first, again = replayed(tmp_path, log), replayed(tmp_path, log)
    sys.stdout.write(f"replay: {first['speed']:.1f} and {again['speed']:.1f} times as fast\n")
    assert min(first["speed"], again["speed"]) >= 5
    assert first["predictions"] >= 199 and first["log_s"] >= 20
    assert first["predictions_sha256"] == again["predictions_sha256"]
    assert first["differences"]["inputs"] == first["differences"]["scores"] == 0
    shown = sensorium(tmp_path, "replay", str(log)).stdout
    assert "re-aligned, " in shown and "times as fast as it was" in shown


def test_two_publishers_of_one_stream_are_refused(tmp_path: Path, log: Path) -> None:
    with onto_the_bus(tmp_path, log) as first:
        deadline_s = time.monotonic() + LIMIT_S
        while not list(tmp_path.rglob("readings-climate.ipc")):
            assert time.monotonic() < deadline_s
        with onto_the_bus(tmp_path, log) as second:
            _, errors = second.communicate(timeout=LIMIT_S)
            assert second.returncode == 2
            assert "another process publishes here" in errors
        first.send_signal(signal.SIGINT)
        assert ended(first)["rounds"] == 0
