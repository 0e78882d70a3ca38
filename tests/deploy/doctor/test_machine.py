"""What programs and the kernel print, read."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.doctor import machine
from deploy.doctor.machine import machine_findings, power_mode


@pytest.mark.parametrize(
    ("said", "state", "text"),
    [
        ("NV Power Mode: MAXN\n0", "ok", "MAXN (mode 0)"),
        ("NV Power Mode: MAXN_SUPER\n2", "ok", "MAXN_SUPER (mode 2)"),
        ("NV Power Mode: 15W\n2", "wrong", "15W (mode 2) is not the fastest"),
        (None, "absent", "nvpmodel does not tell"),
    ],
)
def test_the_power_mode_of_a_jetson(said: str | None, state: str, text: str) -> None:
    found = power_mode(said)
    assert (found.state, found.said) == (state, text)


def test_a_governor_that_saves_power_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for core, governor in enumerate(("performance", "schedutil")):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
    monkeypatch.setattr(machine, "GOVERNORS", f"{tmp_path}/cpu*/cpufreq/scaling_governor")
    found = {finding.what: finding for finding in machine_findings()}
    assert found["CPU governor"].state == "wrong"
    assert "schedutil" in found["CPU governor"].said
    assert "cpupower frequency-set -g performance" in found["CPU governor"].todo


def test_a_jetson_is_told_with_its_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, model = tmp_path / "nv_tegra_release", tmp_path / "model"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")
    model.write_text("NVIDIA Jetson Orin Nano Developer Kit\0")
    monkeypatch.setattr(machine, "TEGRA", release)
    monkeypatch.setattr(machine, "MODEL", model)
    found = {finding.what: finding for finding in machine_findings()}
    assert found["Jetson"].said == "NVIDIA Jetson Orin Nano Developer Kit, L4T 36.4.3"
    assert found["power mode"].state == "absent"  # there is no nvpmodel here
