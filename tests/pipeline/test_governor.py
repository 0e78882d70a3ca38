"""When the governor steps, in virtual time: overload, recovery, hiccups, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from pipeline.error import ConfigError
from pipeline.event.event import Event
from pipeline.governor.governor import Governor, Step, TickLoad
from pipeline.governor.level import LEVELS
from pipeline.governor.reuse import Reuse
from pipeline.governor.sink import GovernorSink
from pipeline.prediction import STAGES, Prediction
from tests.pipeline.home import config

MS = 1_000_000
SECOND = 1000 * MS
Seen: TypeAlias = "tuple[int, TickLoad, Step | None]"
DEADLINE = 20 * MS
WINDOWS = 10_000  # a tick, so that a share of them is a whole number


@dataclass
class Machine:
    """A node in virtual time: `encode` ns of encoding a window, `rest` of the others a tick.

    It ticks every `period` ns; a tick that it is too late for is left out. A new window comes every
    `apart` ticks, and its encoding is spread over them.
    """

    period: int
    rest: int
    encode: int
    apart: int = 1
    now: int = 0

    def run(self, governor: Governor, seconds: float) -> Iterator[Seen]:
        until = self.now + int(seconds * SECOND)
        tick = self.now - self.now % self.period
        while tick < until:
            every = max(governor.every, self.apart)
            encode = self.encode // every
            work = self.rest + encode
            self.now = max(self.now, tick) + work
            following = max(tick + self.period, self.now - self.now % self.period)
            load = TickLoad(
                at_ns=self.now,
                latency_ns=self.now - tick,
                n_left_out=(following - tick) // self.period - 1,
                n_encoded=WINDOWS // every,
                n_wanted=WINDOWS // self.apart,
                encode_ns=encode,
                work_ns=work,
            )
            yield tick, load, governor.observe(load)
            tick = following


def steps_of(found: list[Seen]) -> list[tuple[int, int]]:
    return [(step.before, step.now) for _, _, step in found if step]


def late(found: list[Seen], since: int, deadline: int = DEADLINE) -> float:
    """The share of late ticks from a time on."""
    loads = [load for tick, load, _ in found if tick >= since]
    n = sum(1 + load.n_left_out for load in loads)
    return sum((load.latency_ns > deadline) + load.n_left_out for load in loads) / n


@pytest.mark.parametrize("rate_hz", [10, 30, 100, 400])
def test_an_overload_is_met_within_five_seconds_and_left_within_ten(rate_hz: int) -> None:
    period = SECOND // rate_hz
    governor = Governor(period)
    machine = Machine(period, rest=period // 4, encode=period // 8)
    assert steps_of(list(machine.run(governor, 5))) == []
    machine.encode, begun = 3 * period, machine.now
    over = list(machine.run(governor, 20))
    assert governor.every >= 4
    assert late(over, begun + 5 * SECOND, period) < 0.01
    machine.encode, begun = period // 8, machine.now
    after = list(machine.run(governor, 10))
    assert governor.every == 1
    assert late(after, begun, period) == 0


def test_it_comes_back_where_ticks_cost_much_and_windows_are_few() -> None:
    """A third of the time would be free at full rate: twice what is encoded now need not be."""
    period = 2 * MS
    governor = Governor(DEADLINE)
    machine = Machine(period, rest=9 * period // 20, encode=2 * period)
    list(machine.run(governor, 15))
    assert governor.every >= 4
    machine.apart = 9
    list(machine.run(governor, 10))
    assert governor.every == 1


def test_what_fits_at_the_lower_level_alone_does_not_swing() -> None:
    """Full encoding would not fit: the way back is tried ever more rarely."""
    period = 10 * MS
    governor = Governor(DEADLINE)
    machine = Machine(period, rest=3 * MS, encode=8 * MS)
    found = list(machine.run(governor, 300))
    downs = [step for step in steps_of(found) if step[1] > step[0]]
    assert 1 < len(downs) <= 8
    assert late(found, 5 * SECOND) < 0.005


def test_one_late_tick_is_chance() -> None:
    governor = Governor(DEADLINE)
    for n in range(1000):
        latency = 30 * MS if n % 50 == 0 else 5 * MS
        load = TickLoad(
            at_ns=n * 10 * MS,
            latency_ns=latency,
            n_left_out=0,
            n_encoded=1,
            n_wanted=1,
            encode_ns=MS,
            work_ns=2 * MS,
        )
        assert governor.observe(load) is None


def test_at_the_last_level_it_stays() -> None:
    governor = Governor(DEADLINE)
    machine = Machine(10 * MS, rest=50 * MS, encode=0)
    found = list(machine.run(governor, 30))
    assert [now for _, now in steps_of(found)] == list(LEVELS[1:])


def test_a_step_is_an_event_and_its_end_the_step_back() -> None:
    told: list[Event] = []
    reuse = Reuse({"camera/a": SECOND})
    sink = GovernorSink(20.0, reuse, [told.append], cpu_ns=lambda: 0)
    for n in range(60):
        sink(prediction(n), 30 * MS, 0)
        if reuse.every == 4:
            break
    assert [(e.phase, e.label) for e in told] == [
        ("start", "encode_every_2"),
        ("start", "encode_every_4"),
    ]
    assert told[0].stream == "event/governor"
    assert told[0].score > 0.05
    assert sink.counters() == {"governor.encode_every": 4, "governor.steps": 2}
    sink.finish()
    assert [(e.phase, e.label, e.seq) for e in told[2:]] == [
        ("end", "encode_every_4", 2),
        ("end", "encode_every_2", 3),
    ]
    assert told[-1].began_ns == told[0].began_ns


def prediction(n: int) -> Prediction:
    return Prediction(
        stream="prediction/a",
        seq=n,
        t_capture_ns=n * 10 * MS,
        t_publish_ns=n * 10 * MS,
        outputs={"situation": {"quiet": 1.0}},
        inputs={"camera/a": [(n, n)]},
        ages_ns={"camera/a": 0},
        missing=[],
        weights={},
        backend={},
        stages_ns={"camera/a": (MS,) * len(STAGES)},
        t_emit_ns=n * 10 * MS,
    )


def test_a_governor_without_a_deadline_is_refused() -> None:
    assert config("fusion.governor=true").fusion.governor
    with pytest.raises(ConfigError, match=r"fusion\.governor: keeps a deadline; set fusion\.dead"):
        from pipeline.loader import check

        check({"name": "a", "text": {"b": {"source": "stdin"}}, "fusion": {"governor": True}}, "x")


def test_its_name_is_its_own() -> None:
    event = 'event=[{name="governor",label="quiet"}]'
    with pytest.raises(ConfigError, match="governor is the governor's own"):
        config("fusion.governor=true", event)
