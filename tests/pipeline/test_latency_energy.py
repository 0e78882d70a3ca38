"""The energy that a machine tells, from a folder that stands for /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.latency.energy import EnergyMeter

SECOND_NS = 1_000_000_000


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.fixture
def rapl(tmp_path: Path) -> Path:
    package, core = (tmp_path / "class/powercap" / f"intel-rapl:{n}" for n in ("0", "0:0"))
    write(package, name="package-0", energy_uj="9000000", max_energy_range_uj="10000000")
    write(core, name="core", energy_uj="1", max_energy_range_uj="10000000")
    return tmp_path


def test_a_counter_is_read_and_may_begin_anew(rapl: Path) -> None:
    meter, package = EnergyMeter(rapl), rapl / "class/powercap/intel-rapl:0"
    meter.look(0)
    assert meter.joules == {"package-0": 0.0}
    for n, energy_uj in enumerate((9_500_000, 400_000, 900_000)):
        write(package, energy_uj=str(energy_uj))
        meter.look((n + 1) * SECOND_NS)
    assert meter.joules == {"package-0": 0.5 + 0.9 + 0.5}


def test_the_power_of_a_rail_is_summed_up(tmp_path: Path) -> None:
    chip, other = (tmp_path / "class/hwmon" / name for name in ("hwmon3", "hwmon0"))
    write(chip, name="ina3221", in1_label="VDD_IN", in1_input="5000", curr1_input="2000")
    write(chip, in2_label="VDD_CPU_GPU_CV", in2_input="5000", curr2_input="400", in7_label="sum")
    write(other, name="coretemp", in1_label="x", in1_input="1", curr1_input="1")
    meter = EnergyMeter(tmp_path)
    meter.look(0)
    meter.look(SECOND_NS)
    meter.look(SECOND_NS + 1000)  # too soon: it costs
    write(chip, curr1_input="4000")
    meter.look(2 * SECOND_NS)
    assert meter.joules == {"VDD_IN": 10.0 + 15.0, "VDD_CPU_GPU_CV": 4.0}


def test_a_machine_that_does_not_tell_has_none(tmp_path: Path, rapl: Path) -> None:
    meter = EnergyMeter(tmp_path / "nothing")
    meter.look(0)
    meter.look(SECOND_NS)
    assert meter.joules == {}
    (rapl / "class/powercap/intel-rapl:0/energy_uj").unlink()  # as for users other than root
    meter = EnergyMeter(rapl)
    meter.look(0)
    assert meter.joules == {}
