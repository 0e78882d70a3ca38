"""Cameras from the kernel's list, microphones from PortAudio's answer."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploy.doctor.device import cameras, sound


def node(folder: Path, number: int, name: str, index: int) -> None:
    (folder / f"video{number}").mkdir()
    (folder / f"video{number}" / "name").write_text(f"{name}\n")
    (folder / f"video{number}" / "index").write_text(f"{index}\n")


def test_no_camera_is_told(tmp_path: Path) -> None:
    assert cameras(tmp_path).state == "absent"


def test_a_camera_has_several_nodes_and_counts_once(tmp_path: Path) -> None:
    node(tmp_path, 970, "USB Camera", 0)
    node(tmp_path, 971, "USB Camera", 1)
    found = cameras(tmp_path)
    assert found.said.startswith("/dev/video970 USB Camera")
    assert "video971" not in found.said


def test_a_camera_that_may_not_be_opened_says_what_to_type(tmp_path: Path) -> None:
    node(tmp_path, 970, "USB Camera", 0)  # there is no such node in /dev
    found = cameras(tmp_path)
    assert found.state == "wrong"
    assert "usermod -aG video" in found.todo


@pytest.mark.parametrize(
    ("answer", "states", "todo"),
    [
        (None, ["wrong"], "restart"),
        ({"missing": "module"}, ["absent"], r"sensorium[microphone]"),
        ({"missing": "library"}, ["absent"], "libportaudio2"),
        ({"version": "PortAudio V19", "inputs": []}, ["ok", "absent"], "arecord"),
        ({"version": "PortAudio V19", "inputs": ["USB"]}, ["ok", "ok"], ""),
    ],
)
def test_what_portaudio_answers(
    answer: dict[str, object] | None, states: list[str], todo: str
) -> None:
    said = None if answer is None else msgspec.json.encode(answer).decode()
    found = list(sound(said))
    assert [finding.state for finding in found] == states
    assert todo in found[-1].todo
