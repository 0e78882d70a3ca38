"""A configuration says what of a machine it needs."""

from __future__ import annotations

from pathlib import Path

from deploy.doctor.finding import absent, ok
from deploy.doctor.need import OF_BACKEND, needs, unmet
from engines.backend import BACKENDS
from pipeline.loader import load


def configured(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "run.toml"
    path.write_text('name = "home"\n' + text)
    return needs(load(path))


def test_a_simulated_home_needs_its_backend_alone(tmp_path: Path) -> None:
    found = configured(tmp_path, '[camera.a]\nsource = "simulator"\n')
    assert found == {"onnxruntime": 'backend = "onnxruntime"'}


def test_devices_are_needed_by_those_who_name_them(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        '[camera.door]\nsource = 0\n[camera.hall]\nsource = "csi://0"\n'
        '[microphone.room]\nsource = "USB"\n',
    )
    assert found.pop("onnxruntime")
    assert found == {
        "cameras": "camera.door",
        "OpenCV GStreamer": "camera.hall",
        "PortAudio": "microphone.room",
        "microphones": "microphone.room",
    }


def test_what_comes_over_the_network_or_from_a_file_needs_no_device(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        '[camera.door]\nsource = "rtsp://10.0.0.2/1"\n[microphone.room]\nsource = "a.wav"\n',
    )
    assert found.keys() == {"onnxruntime"}


def test_every_backend_is_known() -> None:
    assert OF_BACKEND.keys() == set(BACKENDS)


def test_what_is_wanted_and_not_ok_is_unmet() -> None:
    findings = [ok("openvino", "there"), absent("cameras", "none")]
    wanted = {"openvino": "backend", "cameras": "camera.a", "PortAudio": "microphone.a"}
    assert unmet(findings, wanted) == {"cameras": "camera.a", "PortAudio": "microphone.a"}
    assert unmet(findings, {"openvino": "backend"}) == {}
