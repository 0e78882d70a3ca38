"""`sensorium bench sweep`: how much this machine can take, by sensors, rate and resolution.

A load holds while at most one tick in two hundred is late: later than the deadline, or left out.
There is a tick for each picture of a camera. For each number of sensors and each resolution the
rate is doubled until the load does not hold, and the limit is then closed in. A load holds that
held in two of three tries: in one another process may have been busy, and near the limit one may
have been lucky.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from engines.bundle import find_bundle, read_manifest
from pipeline.child import Stop
from pipeline.error import SensoriumError
from pipeline.inputs import choose_inputs
from pipeline.latency.conditions import conditions
from pipeline.latency.load import Load, Phase, Plan, config_of
from pipeline.latency.load_run import run_load, span_of

WARM_UP_S = 1.5  # from the first picture on: the window of sound fills, and so do caches
LATE_SHARE = 0.005
UNSENT_SHARE = 0.05  # of the pictures; of more the load was another
FIRST_HZ, MOST_HZ = 10.0, 640.0
MOST = 2  # of three tries
N_CLOSER = 1  # halvings between the last rate that holds and the first that does not
Size: TypeAlias = "tuple[int, int]"


class Point(Struct, frozen=True, kw_only=True):
    """A load, and what it came to. `sender_late`: the sender could not bring the whole load."""

    load: Load
    holds: bool
    p50_ms: float
    p99_ms: float
    late_share: float
    ticks: int
    left_out: int
    sender_late: int
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked of the machine: `seconds` a load, after the warm-up."""

    bundle: str
    deadline_ms: float
    seconds: float
    stop: Stop


def measure(load: Load, ask: Ask) -> Point:
    """One load, on a node of its own. Raises what a run raises."""
    config = config_of(load, deadline_ms=ask.deadline_ms, bundle=ask.bundle)
    phase = Phase(seconds=WARM_UP_S + ask.seconds, rate_hz=load.rate_hz)
    loaded = run_load(config, Plan(size_px=load.size_px, phases=[phase]), ask.stop)
    begun_ns, until_ns = loaded.sent.begun_ns
    expected = load.pictures_per_s * phase.seconds
    span = span_of(loaded, begun_ns + int(WARM_UP_S * 1e9), until_ns)
    return Point(
        load=load,
        holds=span.late_share <= LATE_SHARE and loaded.sent.late <= UNSENT_SHARE * expected,
        p50_ms=round(span.percentile_ms(50), 3),
        p99_ms=round(span.percentile_ms(99), 3),
        late_share=round(span.late_share, 5),
        ticks=span.n_ticks,
        left_out=span.n_left_out,
        sender_late=loaded.sent.late,
        dropped=loaded.result["dropped"],
    )


def search(load: Load, holds: Callable[[Load], bool]) -> Load | None:
    """The load at the highest rate that holds; None if it does not even hold at FIRST_HZ."""

    def at(rate_hz: float) -> Load:
        return msgspec.structs.replace(load, rate_hz=rate_hz)

    low_hz, high_hz = 0.0, FIRST_HZ
    while high_hz <= MOST_HZ and holds(at(high_hz)):
        low_hz, high_hz = high_hz, 2 * high_hz
    if not low_hz or high_hz > MOST_HZ:
        return at(low_hz) if low_hz else None
    for _ in range(N_CLOSER):
        middle_hz = round((low_hz * high_hz) ** 0.5)
        if holds(at(middle_hz)):
            low_hz = middle_hz
        else:
            high_hz = middle_hz
    return at(low_hz)


class Sweep:
    """The points that were measured, and the highest load of each line that holds."""

    def __init__(self, ask: Ask, told: Callable[[Point], None]) -> None:
        """`told` is called with each point."""
        self._ask, self._told = ask, told
        self.points: list[Point] = []
        self.capacity: list[Point] = []

    def line(self, load: Load) -> None:
        """Find the limit of so many sensors at this resolution."""
        found = search(load, self._holds)
        if found is not None:
            # Of the tries at that rate the one that held.
            self.capacity.append(next(p for p in self.points if p.load == found and p.holds))

    def _holds(self, load: Load) -> bool:
        held: list[bool] = []
        while MOST not in (held.count(True), held.count(False)):
            point = measure(load, self._ask)
            self.points.append(point)
            self._told(point)
            held.append(point.holds)
        return held[-1]


def lines(cameras: Sequence[int], sizes_px: Sequence[Size]) -> Iterator[Load]:
    """Each number of cameras, with as many microphones, at each resolution."""
    for size_px in sizes_px:
        for n in cameras:
            yield Load(cameras=n, microphones=n, rate_hz=FIRST_HZ, size_px=size_px)


def run_sweep(asked: Sequence[Load], ask: Ask, told: Callable[[Point], None]) -> Sweep:
    """Measure all lines. Raises SensoriumError where none holds, or the bundle takes fewer."""
    manifest = read_manifest(find_bundle(ask.bundle))
    for load in asked:
        choose_inputs(config_of(load, deadline_ms=ask.deadline_ms, bundle=ask.bundle), manifest)
    sweep = Sweep(ask, told)
    for load in asked:
        sweep.line(load)
    if not sweep.capacity:
        raise SensoriumError(f"not even {FIRST_HZ:g} Hz held: take a longer --deadline")
    return sweep


def result(sweep: Sweep, ask: Ask) -> dict[str, Any]:
    """Everything that was found, as JSON has it."""
    asked = sweep.capacity[0].load
    return {
        "mode": "sweep",
        "deadline_ms": ask.deadline_ms,
        "late_share_allowed": LATE_SHARE,
        "seconds": ask.seconds,
        "capacity": [{**msgspec.to_builtins(p), "text": capacity_text(p)} for p in sweep.capacity],
        "points": [msgspec.to_builtins(point) for point in sweep.points],
        "conditions": conditions(config_of(asked, deadline_ms=ask.deadline_ms, bundle=ask.bundle)),
    }


def capacity_text(point: Point) -> str:
    """ "4 cameras at 60 Hz (640x480), 4 microphones, p99 12.0 ms"."""
    return f"{point.load}, p99 {point.p99_ms:.1f} ms"


def text(sweep: Sweep, ask: Ask) -> str:
    """The capacity for people."""
    rows = [
        f"within {ask.deadline_ms:g} ms from tick to prediction, at most"
        f" {LATE_SHARE:.1%} of the ticks late or left out, this machine takes"
    ]
    rows += [f"  {capacity_text(point)}" for point in sweep.capacity]
    slow = [p for p in sweep.points if p.sender_late]
    rows += [f"  the sender of {p.load} was late {p.sender_late} times" for p in slow]
    return "\n".join(rows)


def point_text(point: Point) -> str:
    """One line while the sweep goes on."""
    verdict = f"{point.late_share:.1%} late" + (", holds" if point.holds else "")
    if point.sender_late:
        verdict += f", {point.sender_late} pictures were not sent in time"
    return f"{point.load}: p50 {point.p50_ms:.2f} ms, p99 {point.p99_ms:.2f} ms, {verdict}"
