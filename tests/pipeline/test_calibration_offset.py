"""The one line of a TOML file that changes, and all that does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.calibration.offset import new_offsets, with_offsets, write_offsets
from pipeline.error import ConfigError
from pipeline.loader import load

CAMERA, MICROPHONE = "camera/door", "microphone/room"
TEXT = """# my hub
name = "hub"   # a comment

[camera.door]          # the street
source = "rtsp://[::1]/a"
resize = [
    320, # wide
    240,
]
# what follows is of another host

[camera.door.remote]
endpoint = "tcp://192.168.1.5:5600"
insecure = true

[microphone.room]
source = "USB"
offset_ms = 12.5  # by hand
max_age_ms = 900

[camera.hall]
source = 1
"""


@pytest.mark.parametrize(
    ("camera_ms", "microphone_ms", "late_ms", "expected"),
    [
        (0, 0, 35, (35, 0)),
        (0, 0, -35, (0, 35)),
        (35, 0, -2, (33, 0)),
        (35, 0, -40, (0, 5)),
        (0, 20, 35, (15, 0)),
        (50, 10, -5, (45, 10)),
        (50, 10, -60, (10, 30)),
    ],
)
def test_the_later_device_is_corrected_and_none_is_below_zero(
    camera_ms: float, microphone_ms: float, late_ms: float, expected: tuple[float, float]
) -> None:
    found = new_offsets((CAMERA, camera_ms), (MICROPHONE, microphone_ms), late_ms)
    assert (found[CAMERA], found[MICROPHONE]) == expected


def test_one_line_is_added_and_one_is_changed() -> None:
    edited = with_offsets(TEXT, {CAMERA: 35.0, MICROPHONE: 0.0})
    expected = TEXT.replace("    240,\n]\n", "    240,\n]\noffset_ms = 35\n")
    assert edited == expected.replace("12.5  # by", "0  # by")


def test_what_is_right_already_is_left_alone() -> None:
    assert with_offsets(TEXT, {CAMERA: 0.0, MICROPHONE: 12.5}) == TEXT


@pytest.mark.parametrize("header", ['[camera."door"]', "[ camera . door ]", "[camera.'door'] # x"])
def test_a_header_may_be_written_in_many_ways(header: str) -> None:
    edited = with_offsets(f"{header}\nsource = 0", {CAMERA: 1.5})
    assert edited == f"{header}\nsource = 0\noffset_ms = 1.5\n"


def test_line_endings_stay() -> None:
    assert with_offsets("[camera.door]\r\nsource = 0\r\n", {CAMERA: 7.0}).endswith(
        "source = 0\r\noffset_ms = 7\r\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "camera.door.source = 0\n",
        "[camera]\ndoor = {source = 0}\n",
        '[camera.door]\nsource = """\noffset_ms = 3\n"""\n',
    ],
)
def test_what_cannot_be_edited_safely_is_refused_with_the_line_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write `offset_ms = 7` into it"):
        with_offsets(text, {CAMERA: 7.0})


def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "hub.toml", tmp_path / "link.toml"
    path.write_text(TEXT)
    path.chmod(0o640)
    link.symlink_to(path)
    write_offsets(link, {CAMERA: 35.0})
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert load(path).streams[CAMERA].offset_ms == 35.0
    assert os.listdir(tmp_path) == ["hub.toml", "link.toml"] or len(os.listdir(tmp_path)) == 2


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_offsets(tmp_path / "none.toml", {CAMERA: 1.0})
