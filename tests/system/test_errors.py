"""Bad input to the command: one clear line, a non-zero exit, nothing left behind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from engines.bundle import SHIPPED
from tests.system.run import COMMAND, LIMIT_S, SIMULATED, environment, left_behind, sensorium

CAMERA = '[camera.room]\nsource = "simulator"\n'
# What is wrong, and what the message must say.
WRONG = {
    "an unknown key": (
        'name = "x"\n[camera.door]\nsorce = 0\n',
        "hub.toml: unknown key `camera.door.sorce`; did you mean `camera.door.source`?",
    ),
    "a mistyped value": (
        'name = "x"\n[camera.door]\nsource = 0\nrate_hz = "fast"\n',
        "hub.toml: camera.door.rate_hz: expected `float | null`, got `str`",
    ),
    "a fault of another kind": (
        'name = "x"\n[camera.door]\nsource = 0\nmask_faults = ["silent"]\n',
        "hub.toml: camera.door.mask_faults[0]: invalid enum value 'silent'",
    ),
    "no TOML": ("name = ", "hub.toml: is not TOML"),
    "an unknown bundle": (
        'name = "x"\n' + CAMERA + '[fusion]\nbundle = "attic"\n',
        "bundle 'attic': no folder with a bundle.json; shipped bundles: home",
    ),
    "a wrong audio rate": (
        'name = "x"\n[microphone.room]\nsource = "simulator"\nsample_rate_hz = 8000\n',
        "microphone.room.sample_rate_hz: 8000; the bundle takes 16000",
    ),
    "a missing video": (
        'name = "x"\n[camera.door]\nsource = "none.mp4"\n',
        "none.mp4",
    ),
    "an unreadable video": (
        'name = "x"\n[camera.door]\nsource = "hub.toml"\n',
        "is no video that can be read",
    ),
    "a run directory that cannot be written": (
        'name = "x"\nrun_dir = "/proc/sensorium"\n' + CAMERA,
        "run_dir /proc/sensorium: cannot be written",
    ),
    "a socket path that is too long": (
        f'name = "x"\nrun_dir = "/tmp/{"d" * 100}"\n' + CAMERA,
        "set a shorter run_dir",
    ),
    "an endpoint open to others": (
        'name = "x"\n' + CAMERA + 'endpoint = "tcp://0.0.0.0:5000"\n',
        "only loopback is supported",
    ),
    "two sensors at one endpoint": (
        'name = "x"\n'
        + CAMERA
        + 'endpoint = "tcp://127.0.0.1:5000"\n'
        + '[text.a]\nsource = "simulator"\nendpoint = "tcp://127.0.0.1:5000"\n',
        "text/a and camera/room both claim tcp://127.0.0.1:5000",
    ),
    "an output that cannot be written": (
        'name = "x"\n' + CAMERA + '[out]\njsonl = "/proc/out.jsonl"\n',
        "out.jsonl /proc/out.jsonl: cannot be written",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_run_that_cannot_work_says_why_and_ends(tmp_path: Path, what: str) -> None:
    text, message = WRONG[what]
    (tmp_path / "hub.toml").write_text(text)
    done = sensorium(tmp_path, "run", "hub.toml", "--seconds", "5", cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("what", list(WRONG)[:6])
def test_validate_finds_it_without_starting_anything(tmp_path: Path, what: str) -> None:
    text, message = WRONG[what]
    (tmp_path / "hub.toml").write_text(text)
    done = sensorium(tmp_path, "validate", "hub.toml", cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED / "home", tmp_path / "home")
    with open(folder / "fusion.onnx", "ab") as file:
        file.write(b"x")
    (tmp_path / "hub.toml").write_text(SIMULATED)
    for command in ("validate", "run"):
        done = sensorium(
            tmp_path, command, "hub.toml", "--set", "fusion.bundle=./home", cwd=tmp_path
        )
        assert done.returncode != 0
        assert "fusion.onnx: SHA-256 is" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_second_sensor_at_an_endpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(SIMULATED)
    command = [*COMMAND, "sensor", "text/events", str(path)]
    with subprocess.Popen(command, env=environment(tmp_path)) as first:
        lock = tmp_path / "sensorium" / "home" / "text-events.ipc"
        while not lock.exists():
            assert first.poll() is None
        second = sensorium(tmp_path, *command[len(COMMAND) :])
        assert second.returncode != 0
        assert "text-events.ipc: another process publishes here" in second.stderr
        first.terminate()
        assert first.wait(LIMIT_S) == 0
    assert left_behind(tmp_path) == []


def test_validate_accepts_what_runs(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(SIMULATED)
    done = sensorium(tmp_path, "validate", "hub.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hub.toml: valid, 4 streams\n")
    drawn = sensorium(tmp_path, "graph", "hub.toml", cwd=tmp_path)
    assert "simulator -> camera/room [latest, 400 ms]" in drawn.stdout
