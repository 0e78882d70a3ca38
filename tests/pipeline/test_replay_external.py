"""A stream with source = "external": no run starts it, no run removes what its publisher made."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.error import ConfigError
from pipeline.loader import check
from pipeline.run_directory import RunDirectory

TABLE = {
    "name": "stage",
    "camera": {"room": {"source": "external"}},
    "text": {"events": {"source": "simulator"}},
}


def test_a_run_starts_no_sensor_for_it_but_hears_it() -> None:
    config = check(TABLE, "x")
    assert list(config.sensors) == ["text/events"]
    assert list(config.local_streams) == list(config.streams) == ["camera/room", "text/events"]


def test_what_its_publisher_made_may_be_there_before_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    config = check({**TABLE, "run_dir": str(folder)}, "x")
    guests = {folder / "camera-room.ipc", folder / "camera-room.lock"}
    for path in guests:
        path.touch()
    directory = RunDirectory(config)
    (folder / "text-events.ipc").touch()
    directory.close()
    assert set(folder.iterdir()) == guests
    (folder / "diary.txt").touch()
    with pytest.raises(ConfigError, match=r"holds diary\.txt, which is of no run"):
        RunDirectory(config)


def test_it_has_no_sensor_to_start_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stage.toml"
    path.write_text('name = "stage"\n[camera.room]\nsource = "external"\n')
    assert main(["sensor", "camera/room", str(path)]) == 2
    assert "source = 'external': it has no sensor here" in capsys.readouterr().err
