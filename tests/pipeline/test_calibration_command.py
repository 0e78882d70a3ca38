"""`sensorium calibrate av`, from files: what it prints and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.loader import check, load
from tests.pipeline.claps import CAMERA, MICROPHONE, moments_ns, recording
from tests.pipeline.films import make_film, steady_ms
from tests.pipeline.live_log import write_log

MS = 1_000_000
CONFIG = """
name = "hub"
[camera.door]
source = 0
[microphone.room]
source = "USB"
"""
EVENTS_S = (3.11, 6.02, 8.53, 11.84, 14.35, 17.66, 20.17)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "hub.toml"
    path.write_text(CONFIG)
    return path


def calibrated(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert cli.main(["calibrate", "av", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def recorded(path: Path, late_ns: int, **offsets_ms: float) -> Path:
    """A log of ten claps, recorded with these offsets."""
    at_ns = moments_ns(10)
    door = {"source": 0, "offset_ms": offsets_ms.get("camera", 0.0)}
    room = {"source": "USB", "offset_ms": offsets_ms.get("microphone", 0.0)}
    table = {"name": "hub", "camera": {"door": door}, "microphone": {"room": room}}
    write_log(path, recording(at_ns, at_ns, late_ns), check(table, "test"))
    return path


def test_a_log_is_measured_and_the_file_written(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = recorded(tmp_path / "claps.mcap", 35 * MS)
    found = calibrated(capsys, config, "--from", log)
    assert found["delay_ms"] == pytest.approx(35, abs=10)
    assert (found["pairs"], found["written"]) == (10, True)
    assert found["streams"] == [CAMERA, MICROPHONE]
    lines = load(config).streams
    assert lines[CAMERA].offset_ms == found["offset_ms"][CAMERA] == found["delay_ms"]
    assert config.read_text() == CONFIG.replace(
        "source = 0\n", f"source = 0\noffset_ms = {found['delay_ms']:g}\n"
    )
    assert lines[MICROPHONE].offset_ms == 0


def test_offsets_that_a_log_was_recorded_with_count(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = recorded(tmp_path / "claps.mcap", -20 * MS, camera=55.0)
    found = calibrated(capsys, config, "--from", log, "--dry-run")
    assert found["offset_ms"][CAMERA] == pytest.approx(35, abs=10)
    assert found["written"] is False
    assert config.read_text() == CONFIG


def test_people_read_which_is_later(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = recorded(tmp_path / "claps.mcap", -90 * MS)
    assert cli.main(["calibrate", "av", str(config), "--from", str(log), "--dry-run"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert "ms earlier than microphone/room, within" in first
    assert others[0] == "camera/door: offset_ms would be 0"
    assert others[1].startswith("microphone/room: offset_ms would be ")


def test_a_film_of_real_codecs_is_measured(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its flash is in the picture nearest to the click, which lies 15 ms before its middle."""
    film = make_film(tmp_path / "film.mp4", steady_ms(22.0), events_s=EVENTS_S)
    found = calibrated(capsys, config, "--from", film)
    assert found["pairs"] == len(EVENTS_S)
    assert found["delay_ms"] == pytest.approx(-15, abs=15)
    assert load(config).streams[MICROPHONE].offset_ms == -found["delay_ms"]


def test_what_cannot_be_measured_is_one_clear_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "film.mp4", steady_ms(8.0), events_s=EVENTS_S[:2])
    assert cli.main(["calibrate", "av", str(config), "--from", str(film)]) == 2
    said = capsys.readouterr().err
    assert "2 flashes and 2 clicks, but only 2 of them together: at least 5" in said
    assert config.read_text() == CONFIG


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[camera.hall]\nsource = 1\n", "name one camera of this host with --camera NAME: camera/"),
        ("", "name one camera of this host with --camera NAME"),
    ],
)
def test_the_streams_must_be_clear(
    config: Path, capsys: pytest.CaptureFixture[str], more: str, message: str
) -> None:
    config.write_text(CONFIG + more if more else CONFIG.replace("[camera.door]", "[text.door]"))
    if not more:
        config.write_text(config.read_text().replace("source = 0", 'source = "stdin"'))
    assert cli.main(["calibrate", "av", str(config)]) == 2
    assert message in capsys.readouterr().err
