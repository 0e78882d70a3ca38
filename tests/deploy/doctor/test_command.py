"""`sensorium doctor` ends well unless a configuration needs what is not there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploy.doctor import command
from deploy.doctor.finding import Finding, absent, ok, wrong
from pipeline.cli import main

FOUND = [
    ok("onnxruntime", "1.31.1"),
    absent("cameras", "no /dev/video*"),
    wrong("PortAudio", "it does not answer", "restart it"),
]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "machine_findings", lambda: FOUND[:1])
    monkeypatch.setattr(command, "gpu_findings", lambda _: [])
    monkeypatch.setattr(command, "device_findings", lambda: FOUND[1:])


def config(tmp_path: Path, source: str) -> str:
    path = tmp_path / "run.toml"
    path.write_text(f'name = "home"\n[camera.door]\nsource = {source}\n')
    return str(path)


def test_without_a_configuration_nothing_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ok", "onnxruntime", "1.31.1"]
    assert lines[2].startswith("! ")
    assert lines[3].strip() == "restart it"


def test_what_a_configuration_needs_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", config(tmp_path, '"simulator"')]) == 0
    assert main(["doctor", config(tmp_path, "0")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "missing for camera.door: cameras"


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", config(tmp_path, "0"), "--json"]) == 1
    said = msgspec.json.decode(capsys.readouterr().out)
    assert said["unmet"] == {"cameras": "camera.door"}
    assert msgspec.convert(said["findings"], list[Finding]) == FOUND
