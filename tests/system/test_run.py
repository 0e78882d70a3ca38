"""Whole runs of the simulated home with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.run import (
    COMMAND,
    LIMIT_S,
    SIMULATED,
    Run,
    alive,
    assert_every_tick,
    environment,
    left_behind,
    sensorium,
)

STREAMS = ["camera/room", "microphone/room", "text/events", "readings/climate"]
MAX_AGE_MS = {"camera/room": 400, "microphone/room": 500, "readings/climate": 500}


def complete(prediction: dict[str, Any]) -> bool:
    return not prediction["missing"]


def missing(stream: str) -> Callable[[dict[str, Any]], bool]:
    return lambda prediction: stream in prediction["missing"]


def test_the_demo_predicts_at_its_rate_and_loses_nothing(tmp_path: Path) -> None:
    done = sensorium(tmp_path, "demo", "--seconds", "5", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert 0.98 * 5 * 10 <= result["predictions"] <= 5 * 10 + 1
    assert 0 < result["first_prediction_s"] <= result["first_complete_s"]
    assert result["dropped"].get("superseded", 0) < 0.01 * result["captured"]
    assert set(result["streams"]) == set(STREAMS)
    for ledger in result["streams"].values():
        assert ledger["delivered"] > 0
        assert ledger["captured"] == ledger["delivered"] + sum(ledger["dropped"].values())
        assert set(ledger["dropped"]) <= {"superseded", "at_stop"}
    assert result["captured"] == result["delivered"] + sum(result["dropped"].values())
    assert left_behind(tmp_path) == []


def test_a_killed_sensor_is_missed_and_comes_back_by_itself(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        run.until(complete)
        for stream, max_age_ms in MAX_AGE_MS.items():
            os.kill(run.status()[stream]["pid"], signal.SIGKILL)
            lost = run.until(missing(stream))
            since_sample_s = lost["t"] - made_s(run.predictions[-2], stream)
            assert since_sample_s <= max_age_ms / 1000 + 2 * 0.1 + 0.002
            run.until(complete)
        assert_every_tick(run.predictions)
        status = run.status()
        assert {stream: status[stream]["restarts"] for stream in MAX_AGE_MS} == dict.fromkeys(
            MAX_AGE_MS, 1
        )


@pytest.mark.slow
def test_a_killed_text_sensor_is_heard_again(tmp_path: Path) -> None:
    """Its last event stays in use for ten seconds; a new one comes from the new process."""
    with Run(tmp_path, SIMULATED) as run:
        run.until(complete)
        os.kill(run.status()["text/events"]["pid"], signal.SIGKILL)
        killed_s = time.time()
        run.until(lambda p: complete(p) and made_s(p, "text/events") > killed_s)
        assert_every_tick(run.predictions)
        assert run.status()["text/events"]["restarts"] == 1


def made_s(prediction: dict[str, Any], stream: str) -> float:
    """The wall-clock time of the end of the newest sample used."""
    _, age_ms = prediction["inputs"][stream][0]
    return float(prediction["t"] - age_ms / 1000)


def test_ctrl_c_ends_everything_and_leaves_nothing(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        run.until(complete)
        assert run.stop() < 2.0
        assert run.process.returncode == 0
    assert left_behind(tmp_path) == []


def test_the_death_of_the_supervisor_ends_everything(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        run.until(complete)
        pids = [process["pid"] for process in run.status().values()]
        run.process.kill()
        deadline_s = time.monotonic() + LIMIT_S
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < deadline_s, "a process outlived its supervisor"


def test_the_death_of_the_node_ends_the_run_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(SIMULATED.replace('jsonl = "-"', ""))
    with subprocess.Popen(
        [*COMMAND, "run", str(path)], env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    ) as process:
        deadline_s = time.monotonic() + LIMIT_S
        while (pid := node_pid(tmp_path)) == 0:
            assert time.monotonic() < deadline_s, "the node did not start"
        os.kill(pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode != 0
    assert "the fusion node was ended by SIGKILL" in errors
    assert left_behind(tmp_path) == []


def node_pid(folder: Path) -> int:
    done = sensorium(folder, "status", "--json")
    if done.returncode != 0:
        return 0
    return int(json.loads(done.stdout)["processes"][0]["pid"])


@pytest.mark.slow
def test_a_muted_sensor_is_absent_until_it_is_unmuted(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        run.until(complete)
        assert sensorium(tmp_path, "mute", "microphone/room").returncode == 0
        run.until(lambda p: p["missing"] == ["microphone/room"])
        muted = run.status()["microphone/room"]
        assert (muted["state"], muted["pid"]) == ("muted", 0)
        assert sensorium(tmp_path, "unmute", "microphone/room").returncode == 0
        run.until(complete)
        wrong = sensorium(tmp_path, "mute", "microphone/attic")
        assert wrong.returncode != 0
        assert "no stream 'microphone/attic': camera/room" in wrong.stderr
        assert sensorium(tmp_path, "stop").returncode == 0
        run.process.communicate(timeout=LIMIT_S)
        assert run.process.returncode == 0


@pytest.mark.slow
def test_the_camera_can_be_the_clock_and_ticks_go_on_without_it(tmp_path: Path) -> None:
    clocked = SIMULATED + '\n[fusion]\nclock = "camera/room"\ntick_hz = 5\n'
    with Run(tmp_path, clocked) as run:
        first = run.until(complete)
        seq = first["inputs"]["camera/room"][0][0]
        assert run.next()["inputs"]["camera/room"][0][0] > seq
        assert sensorium(tmp_path, "mute", "camera/room").returncode == 0
        run.until(lambda p: p["missing"] == ["camera/room"])
        assert sensorium(tmp_path, "unmute", "camera/room").returncode == 0
        run.until(complete)


@pytest.mark.slow
def test_two_runs_do_not_share_a_directory(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        run.until(complete)
        second = sensorium(tmp_path, "run", str(tmp_path / "hub.toml"))
        assert second.returncode != 0
        assert "another run is using it" in second.stderr


@pytest.mark.slow
def test_no_process_of_a_run_imports_torch(tmp_path: Path) -> None:
    """A torch that writes a marker and fails stands first on the path of every process."""
    trap, marker = tmp_path / "trap", tmp_path / "imported"
    (trap / "torch").mkdir(parents=True)
    (trap / "torch" / "__init__.py").write_text(
        f"open({str(marker)!r}, 'w').close()\nraise ImportError('torch in the runtime')\n"
    )
    path = os.pathsep.join([str(trap), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*COMMAND, "demo", "--seconds", "5", "--json"],
        env={**environment(tmp_path), "PYTHONPATH": path},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1])["first_complete_s"] is not None
    assert not marker.exists()


def test_help_answers_at_once(tmp_path: Path) -> None:
    before = os.times()
    assert sensorium(tmp_path, "--help").returncode == 0
    after = os.times()
    used_s = after.children_user + after.children_system
    used_s -= before.children_user + before.children_system
    assert used_s < 0.3


@pytest.mark.parametrize("command", ["status", "stop", "mute camera/room"])
def test_without_a_run_the_control_commands_say_so(tmp_path: Path, command: str) -> None:
    done = sensorium(tmp_path, *command.split())
    assert done.returncode != 0
    assert done.stderr.strip() == "sensorium: which run? running: none; name one with --run"
