"""The configurations that people start from: all are valid, and run where devices are simulated."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline.loader import load
from tests.parts import free_port
from tests.system.run import COMMAND, LIMIT_S, Run, environment, left_behind, sensorium

FOLDER = Path(__file__).parents[2] / "deploy" / "config"
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.toml"))
KEY = re.compile("PUBLIC KEY OF THE (ROBOT|STATION)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that also holds the keys of this test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    return tmp_path


def text_of(file: str, folder: Path) -> str:
    """A shipped file, with a key where it asks for one."""
    text = (FOLDER / file).read_text(encoding="utf-8")
    return KEY.sub(sensorium(folder, "keys").stdout.strip(), text) if KEY.search(text) else text


def simulated(path: Path) -> list[str]:
    """Overrides that put the simulator in the place of devices and drop what is out of reach."""
    config = load(path)
    sensors = [s.replace("/", ".") for s in config.sensors]
    words = [f"{sensor}.source=simulator" for sensor in sensors]
    words += ["out.mqtt.host=127.0.0.1"] if config.out.mqtt else []
    return [word for override in [*words, "out.jsonl=-"] for word in ("--set", override)]


def test_every_file_of_the_folder_is_known() -> None:
    hosts = ["two-hosts/robot.toml", "two-hosts/station.toml"]
    singles = ["benchmark.toml", "demo.toml", "hub.toml", "replay.toml", "robot.toml"]
    assert [file for file in FILES if file not in hosts] == singles
    assert [file for file in FILES if file in hosts] == hosts


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_a_shipped_configuration_is_valid(file: str, folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(text_of(file, folder), encoding="utf-8")
    (folder / "incidents").mkdir()
    done = sensorium(folder, "validate", str(path), cwd=folder)
    assert done.returncode == 0, done.stderr


def test_a_key_that_was_not_filled_in_is_asked_for(tmp_path: Path) -> None:
    done = sensorium(tmp_path, "validate", str(FOLDER / "two-hosts" / "robot.toml"))
    assert done.returncode == 2
    assert "as `sensorium keys` prints it" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("file", ["demo.toml", "benchmark.toml", "hub.toml", "robot.toml"])
def test_it_runs_with_a_simulated_home(file: str, folder: Path) -> None:
    (folder / "incidents").mkdir()
    arguments = simulated(FOLDER / file)
    with Run(folder, text_of(file, folder), *arguments, cwd=folder) as run:
        run.until(lambda p: not p["missing"])
    assert left_behind(folder) == []


@pytest.mark.slow
def test_a_log_replays_into_the_stage(folder: Path) -> None:
    log = folder / "home.mcap"
    made = sensorium(folder, "demo", "--seconds", "4", "--json", "--record", str(log))
    assert made.returncode == 0, made.stderr
    path = FOLDER / "replay.toml"
    replay = [*COMMAND, "replay", str(log), "--bus", "--loop", "--config", str(path)]
    with (
        Run(folder, text_of("replay.toml", folder)) as run,
        subprocess.Popen(replay, env=environment(folder), stderr=subprocess.PIPE) as process,
    ):
        run.until(lambda p: not p["missing"])
        process.terminate()
        process.communicate(timeout=LIMIT_S)


@pytest.mark.slow
def test_two_hosts(folder: Path) -> None:
    ports = {5600: free_port(), 5610: free_port()}

    def here(file: str) -> str:
        text = text_of(file, folder)
        for port, free in ports.items():
            text = text.replace(f"192.168.1.5:{port}", f"127.0.0.1:{free}")
        return text

    (folder / "a").mkdir()
    (folder / "b").mkdir()
    path = folder / "robot.toml"
    path.write_text(here("two-hosts/robot.toml"), encoding="utf-8")
    with (
        Run(folder / "a", path.read_text("utf-8"), *simulated(path)) as robot,
        Run(folder / "b", here("two-hosts/station.toml")) as station,
    ):
        robot.until(lambda p: not p["missing"])
        found = station.until(lambda p: p["missing"] == ["text/operator"])
        assert set(found["inputs"]) == {"camera/front", "microphone/front"}
