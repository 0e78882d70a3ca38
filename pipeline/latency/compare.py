"""`--compare A B`: two configurations, two bundles, or two earlier results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from pipeline.child import Stop
from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.latency import ratio
from pipeline.latency.conditions import conditions
from pipeline.latency.flat_run import FlatRun
from pipeline.latency.live_run import measure_live
from pipeline.latency.result import MODES, latencies_ms, result
from pipeline.loader import load
from pipeline.progress import progress

TURN = 10  # predictions
STOPPED = "stopped before every round was done: nothing to compare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long each side runs in a round, and of how many rounds."""

    rounds: int
    seconds: float
    warm_up_s: float
    stop: Stop


def compare_results(a: Path, b: Path) -> dict[str, Any]:
    """Of two files that `bench run --json` wrote. Raises SensoriumError."""
    one, other = _read(a), _read(b)
    if one["mode"] != other["mode"]:
        raise SensoriumError(f"{a} is {MODES[one['mode']]}, {b} is {MODES[other['mode']]}")
    ratios = ratio.of_results(latencies_ms(one), latencies_ms(other))
    found = {"a": str(a), "b": str(b), "mode": one["mode"], "interleaved": False, "rounds": 1}
    return found | {"ratios": ratios, "conditions": [one["conditions"], other["conditions"]]}


def _read(path: Path) -> dict[str, Any]:
    """The last line of the file is the object; before it there may be others."""
    try:
        found = msgspec.json.decode(path.read_bytes().strip().rpartition(b"\n")[2])
        if not (found["series"] and found["mode"] in MODES):
            raise KeyError("series")
    except OSError as error:
        raise SensoriumError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise SensoriumError(f"{path} is no result of `bench run --json`: {error}") from error
    return dict(found)


def compare_live(
    sides: tuple[str, str], config_of: Callable[[str], Config], plan: Plan
) -> dict[str, Any]:
    """Of two configurations: whole runs in turn."""
    configs = {side: config_of(side) for side in sides}

    def run(side: str) -> Sequence[float]:
        outcome = measure_live(configs[side], plan.seconds, plan.warm_up_s, plan.stop)
        return latencies_ms(result(outcome))

    return _in_turn("live", sides, run, plan) | {
        "conditions": [conditions(configs[side]) for side in sides]
    }


def compare_flat(
    sides: tuple[str, str], run_of: Callable[[str], FlatRun], plan: Plan
) -> dict[str, Any]:
    """Of two configurations or bundles on one log, as fast as they compute.

    They change places every few predictions, so that both meet whatever else the machine does.
    """
    runs = run_of(sides[0]), run_of(sides[1])
    a, b = runs[0].durations_ms(), runs[1].durations_ms()
    _alternate(a, b, plan.warm_up_s)
    found_a: list[Sequence[float]] = []
    found_b: list[Sequence[float]] = []
    with progress("comparing", float(plan.rounds)) as advance:
        for n in range(plan.rounds):
            if plan.stop.is_set():
                raise SensoriumError(STOPPED)
            of_a, of_b = _alternate(a, b, 2 * plan.seconds)
            found_a.append(of_a)
            found_b.append(of_b)
            advance(n + 1)
    told = {"a": sides[0], "b": sides[1], "mode": "flat", "interleaved": True}
    return told | {
        "rounds": plan.rounds,
        "ratios": ratio.of_pairs(found_a, found_b),
        "conditions": [conditions(run.config) for run in runs],
    }


def _alternate(
    a: Iterator[float], b: Iterator[float], seconds: float
) -> tuple[list[float], list[float]]:
    """Some of both, so long in all."""
    found: tuple[list[float], list[float]] = [], []
    sides, until_s = [(a, found[0]), (b, found[1])], time.monotonic() + seconds
    while time.monotonic() < until_s or not found[1]:
        for side, of_side in sides:
            of_side.extend(islice(side, TURN))
        sides.reverse()
    return found


def _in_turn(
    mode: str, sides: tuple[str, str], run: Callable[[str], Sequence[float]], plan: Plan
) -> dict[str, Any]:
    done = 0
    with progress("comparing", 2.0 * plan.rounds) as advance:

        def watched(side: str) -> Sequence[float]:
            nonlocal done
            if plan.stop.is_set():
                raise SensoriumError(STOPPED)
            found = run(side)
            done += 1
            advance(done)
            return found

        a, b = ratio.in_turn(lambda: watched(sides[0]), lambda: watched(sides[1]), plan.rounds)
    found = {"a": sides[0], "b": sides[1], "mode": mode, "interleaved": True}
    return found | {"rounds": plan.rounds, "ratios": ratio.of_pairs(a, b)}


def text(found: Mapping[str, Any]) -> str:
    """The ratios for people."""
    how = f"{found['rounds']} rounds in turn" if found["interleaved"] else "two earlier results"
    lines = [f"{found['b']} / {found['a']}, {MODES[found['mode']]}, {how}"]
    for name, (middle, low, high) in found["ratios"].items():
        hidden = max(high - 1, 1 - low)
        verdict = f"no difference shown; one of {hidden:.0%} could hide here"
        if not low <= 1 <= high:
            verdict = "differs"
        lines.append(f"  {name}: {middle:.3f} (95 %: {low:.3f} to {high:.3f}), {verdict}")
    if not found["interleaved"]:
        lines.append("  what the machine did between the two is in these ratios: run both in turn")
    return "\n".join(lines)


def config_of_side(
    side: str, target: Callable[[Sequence[str]], Config], sets: Sequence[str]
) -> Config:
    """A side is a TOML file, or a bundle for the target."""
    if side.endswith(".toml"):
        return load(Path(side), sets)
    return target([*sets, f"fusion.bundle={side}"])


def flat_run_of_side(side: str, file: Path, sets: Sequence[str]) -> FlatRun:
    """The same of a log."""
    if side.endswith(".toml"):
        return FlatRun(file, sets, Path(side))
    return FlatRun(file, [*sets, f"fusion.bundle={side}"])
