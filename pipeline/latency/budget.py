"""A budget of latency: deadlines in milliseconds, or shares of the total; who breaks it is named.

[deadline_ms]
latency.p99 = 50
encode.p99 = 5

[ratio]            # to the same percentile of the whole way, sensor to prediction
fuse.p50 = 0.3
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline.error import SensoriumError
from pipeline.latency.result import SHOWN
from pipeline.prediction import STAGES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WAYS: Mapping[str, str] = {
    "latency": "latency_ms",
    "corrected_latency": "corrected_latency_ms",
    "total": "sensor_to_prediction_ms",
}


class BudgetError(SensoriumError):
    """A budget cannot be understood, or not be held against this result."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """{stage, or one of WAYS: {percentile: limit}}."""

    deadline_ms: dict[str, dict[str, float]] = {}
    ratio: dict[str, dict[str, float]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that was not kept."""

    what: str
    percentile: str
    found: float
    limit: float
    unit: str

    @property
    def excess(self) -> float:
        """How many times the limit it took."""
        return self.found / self.limit

    def __str__(self) -> str:
        return (
            f"{self.what} {self.percentile}: {self.found:.3f} {self.unit},"
            f" budget {self.limit:g} {self.unit}"
        )


def read_budget(path: Path) -> Budget:
    """Raises BudgetError, which names the key and the nearest valid one."""
    try:
        budget = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Budget)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BudgetError(f"{path}: {error}") from error
    for table, limits in (("deadline_ms", budget.deadline_ms), ("ratio", budget.ratio)):
        for what, of in limits.items():
            _check(path, f"{table}.{what}", what, (*STAGES, *WAYS))
            for percentile, limit in of.items():
                key = f"{table}.{what}.{percentile}"
                _check(path, key, percentile, SHOWN)
                if not limit > 0:
                    raise BudgetError(f"{path}: {key}: is {limit:g}, and must be above 0")
    if not (budget.deadline_ms or budget.ratio):
        raise BudgetError(f"{path}: no limit; write [deadline_ms] latency.p99 = 50, for example")
    return budget


def _check(path: Path, key: str, word: str, valid: Sequence[str]) -> None:
    if word not in valid:
        near = difflib.get_close_matches(word, valid, n=1, cutoff=0.0)[0]
        raise BudgetError(f"{path}: unknown key `{key}`; did you mean `{near}`?")


def breaches(budget: Budget, found: Mapping[str, Any]) -> list[Breach]:
    """What broke the budget, the worst first. Raises BudgetError for what was not measured."""
    broken = [breach for breach in _held_against(budget, found) if breach.excess > 1]
    return sorted(broken, key=lambda breach: -breach.excess)


def _held_against(budget: Budget, found: Mapping[str, Any]) -> Iterator[Breach]:
    for what, limits in budget.deadline_ms.items():
        for p, limit in limits.items():
            value = _value(found, what, p)
            yield Breach(what=what, percentile=p, found=value, limit=limit, unit="ms")
    for what, limits in budget.ratio.items():
        for p, limit in limits.items():
            share = _value(found, what, p) / _value(found, "total", p)
            yield Breach(what=what, percentile=p, found=share, limit=limit, unit="of the total")


def _value(found: Mapping[str, Any], what: str, percentile: str) -> float:
    summary = found[WAYS[what]] if what in WAYS else found["stages_ms"].get(what)
    if not summary:
        raise BudgetError(f"{what} was not measured: a {found['mode']} run has none")
    return float(summary[percentile])
