"""How a run begins and ends, with real processes: signals, orphans, odd folders, first words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

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

TEXT = """
name = "home"
[text.hall]
source = "stdin"
[out]
jsonl = "-"
"""


def start(folder: Path) -> subprocess.Popen[str]:
    path = folder / "hub.toml"
    path.write_text(SIMULATED.replace('jsonl = "-"', ""))
    return subprocess.Popen(
        [*COMMAND, "run", str(path)],
        env=environment(folder),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def test_a_supervisor_that_is_killed_at_its_start_leaves_no_process(tmp_path: Path) -> None:
    for _ in range(4):
        with start(tmp_path) as process:
            until(lambda: children(tmp_path))
            process.kill()
        until(lambda: not children(tmp_path))
    status = sensorium(tmp_path, "status")
    assert status.returncode != 0
    assert "none" in status.stderr


def test_ctrl_c_at_the_start_ends_without_a_traceback(tmp_path: Path) -> None:
    for n_started in (1, 2, 5):
        with start(tmp_path) as process:
            until(lambda n=n_started: len(children(tmp_path)) >= n)  # type: ignore[misc]
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        assert left_behind(tmp_path) == []


def test_a_folder_of_the_user_that_is_called_like_ours_is_not_imported(tmp_path: Path) -> None:
    for name in ("pipeline", "sensors", "engines", "ctypes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('a decoy')\n")
    done = sensorium(tmp_path, "demo", "--seconds", "1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "decoy" not in done.stderr


def test_a_killed_run_is_followed_by_a_whole_one(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        until((tmp_path / "sensorium" / "home" / "control.ipc").exists)
        process.kill()
    until(lambda: not children(tmp_path))
    assert "running: none" in sensorium(tmp_path, "status").stderr
    assert "nothing runs here" in sensorium(tmp_path, "stop", "--run", "home").stderr
    with Run(tmp_path, SIMULATED) as run:
        run.next()
        run.stop()
    assert left_behind(tmp_path) == []


def test_a_folder_with_files_of_the_user_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.json").write_text("{}")
    (tmp_path / "hub.toml").write_text(SIMULATED)
    done = sensorium(tmp_path, "run", str(tmp_path / "hub.toml"), "--set", f"run_dir={folder}")
    assert done.returncode == 2
    assert f"run_dir {folder}: holds notes.json" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["notes.json"]


def test_the_first_words_are_heard(tmp_path: Path) -> None:
    with Run(tmp_path, TEXT) as run:
        assert run.process.stdin is not None
        run.process.stdin.write(b"the doorbell rang\n")
        run.process.stdin.close()
        run.process.stdin = None
        run.until(lambda p: p["inputs"].get("text/hall"))
        until(lambda: run.status()["node"]["counters"].get("text/hall.captured"))
        counters = run.status()["node"]["counters"]
        assert counters["text/hall.captured"] == counters["text/hall.delivered"] == 1
        assert run.status()["text/hall"]["counters"]["captured"] == 1


def test_a_reader_that_has_enough_ends_the_run_without_an_error(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        run.next()
        assert run.process.stdout is not None
        run.process.stdout.close()
        assert run.process.wait(LIMIT_S) == 0
        run.process.stdout = None
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_muting_is_no_restart(tmp_path: Path) -> None:
    with Run(tmp_path, SIMULATED) as run:
        for _ in range(2):
            run.until(lambda p: not p["missing"])
            sensorium(tmp_path, "mute", "microphone/room")
            run.until(lambda p: p["missing"] == ["microphone/room"])
            sensorium(tmp_path, "unmute", "microphone/room")
        run.until(lambda p: not p["missing"])
        assert run.status()["microphone/room"]["restarts"] == 0


@pytest.mark.slow
def test_a_run_that_was_suspended_goes_on(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        until(lambda: sensorium(tmp_path, "status").stdout.count(" running ") == 5)
        before = json.loads(sensorium(tmp_path, "status", "--json").stdout)["processes"]
        os.killpg(process.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(8)
        os.killpg(process.pid, signal.SIGCONT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        after = json.loads(sensorium(tmp_path, "status", "--json").stdout)["processes"]
        assert [p["pid"] for p in before] == [p["pid"] for p in after]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert "killed" not in errors
