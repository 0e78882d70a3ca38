"""The energy that a run took, where the machine tells it.

Intel and AMD count it (Linux: power capping framework); a Jetson's INA3221 tells voltage and
current of each rail (Linux: hwmon, ina3221), whose product is summed up here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

SYS = Path("/sys")
PERIOD_NS = 200_000_000  # between two looks; a sensor behind I2C takes a millisecond


class EnergyMeter:
    """Sums up what each domain or rail used between the first and the last call of `look`."""

    def __init__(self, root: Path = SYS) -> None:
        self._counters = list(_counters(root))
        self._rails = list(_rails(root))
        self._before_uj: dict[str, int] = {}
        self._before_w: dict[str, float] = {}
        self._looked_ns: int | None = None
        self._joules: dict[str, float] = {}

    @property
    def joules(self) -> Mapping[str, float]:
        """{domain or rail: energy}; empty where the machine does not tell, or not to this user."""
        return {name: round(energy, 3) for name, energy in self._joules.items()}

    def look(self, now_ns: int) -> None:
        """To be called often; it looks five times a second."""
        if self._looked_ns is not None and now_ns - self._looked_ns < PERIOD_NS:
            return
        since_s = 0.0 if self._looked_ns is None else (now_ns - self._looked_ns) / 1e9
        self._looked_ns = now_ns
        for name, folder in self._counters:
            if (now_uj := _number(folder / "energy_uj")) is not None:
                before_uj = self._before_uj.get(name, now_uj)
                self._before_uj[name] = now_uj
                used_uj = now_uj - before_uj
                if used_uj < 0:  # the counter has begun anew
                    used_uj += _number(folder / "max_energy_range_uj") or 0
                self._add(name, max(0, used_uj) / 1e6)
        for name, folder, n in self._rails:
            volts, amperes = _number(folder / f"in{n}_input"), _number(folder / f"curr{n}_input")
            if volts is not None and amperes is not None:
                now_w = volts * amperes / 1e6  # both are in thousandths
                self._add(name, (self._before_w.get(name, now_w) + now_w) / 2 * since_s)
                self._before_w[name] = now_w

    def _add(self, name: str, joules: float) -> None:
        self._joules[name] = self._joules.get(name, 0.0) + joules


def _counters(root: Path) -> Iterator[tuple[str, Path]]:
    """Whole packages: their cores are a part of them."""
    for folder in sorted((root / "class/powercap").glob("*-rapl:*")):
        if folder.name.count(":") == 1:
            yield _text(folder / "name") or folder.name, folder


def _rails(root: Path) -> Iterator[tuple[str, Path, str]]:
    """(name, folder, number) of each channel that has a name."""
    for folder in sorted((root / "class/hwmon").glob("hwmon*")):
        if _text(folder / "name") == "ina3221":
            for label in sorted(folder.glob("in[123]_label")):
                yield _text(label), folder, label.name[2]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None
