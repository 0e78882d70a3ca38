"""Rules: many ticks become one start and one end each; their forms on the wire and in a log."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bus import wire
from pipeline.event.event import Event
from pipeline.event.rule import Rules
from pipeline.event.sink import EventSink
from pipeline.log.codec import Stored, decode, encode
from pipeline.outlet import EventRule
from tests.pipeline.messages import prediction

TICK_NS = 100_000_000
RULE = EventRule(
    name="fall", label="fall", enter=0.8, leave=0.5, min_duration_s=0.3, cool_down_s=2.0
)


def told(scores: list[float], rule: EventRule = RULE) -> list[tuple[int, str]]:
    """(tick, phase) of the events that these scores make, one a tick."""
    rules = Rules([rule])
    return [
        (event.t_capture_ns // TICK_NS, event.phase)
        for n, score in enumerate(scores)
        for event in rules.step(prediction(n * TICK_NS, {"fall": score, "quiet": 1 - score}))
    ]


def test_an_event_starts_after_its_duration_and_ends_after_the_score_was_low_as_long() -> None:
    assert told([0.1, 0.9, 0.6, 0.7, 0.9, 0.9, 0.2, 0.2, 0.2, 0.2]) == [(4, "start"), (9, "end")]


def test_between_leave_and_enter_nothing_begins_and_nothing_ends() -> None:
    assert told([0.7] * 30) == []
    assert told([0.9] * 5 + [0.6] * 30) == [(3, "start")]


def test_what_is_too_short_is_no_event() -> None:
    assert told([0.9, 0.9, 0.9, 0.1] * 10) == []


def test_a_flickering_score_makes_one_event() -> None:
    flickering = [0.95, 0.85, 0.9, 0.8] + [0.95, 0.3] * 20
    assert told(flickering + [0.1] * 4) == [(3, "start"), (46, "end")]
    at_the_threshold = [0.81, 0.79] * 30
    assert told([*at_the_threshold, 0.1, 0.1, 0.1, 0.1]) == [(3, "start"), (63, "end")]


def test_while_it_cools_down_nothing_begins() -> None:
    rule = msgspec.structs.replace(RULE, min_duration_s=0.0)
    scores = [0.9, 0.1] * 8  # 1.6 s
    assert told(scores, rule) == [(0, "start"), (1, "end")]
    assert told(scores * 2, rule) == [(0, "start"), (1, "end"), (22, "start"), (23, "end")]


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(0, 1), st.floats(0, 1))
def test_starts_and_ends_alternate_and_keep_their_distances(
    scores: list[float], min_duration_s: float, cool_down_s: float
) -> None:
    rule = msgspec.structs.replace(RULE, min_duration_s=min_duration_s, cool_down_s=cool_down_s)
    found = told(scores, rule)
    assert [phase for _, phase in found] == ["start", "end"] * (len(found) // 2) + ["start"] * (
        len(found) % 2
    )
    for (before, _), (tick, phase) in pairwise(found):
        least_s = min_duration_s if phase == "end" else cool_down_s + min_duration_s
        assert (tick - before) * TICK_NS >= round(least_s * 1e9) - 1


def test_what_goes_on_ends_with_the_run_and_is_counted() -> None:
    events: list[Event] = []
    sink = EventSink([RULE], [events.append])
    sink.finish()
    for n in range(5):
        sink(prediction(n * TICK_NS, {"fall": 0.9}))
    assert sink.counters() == {"event.fall.active": 1, "event.fall.started": 1}
    sink.finish()
    sink.finish()
    assert [(event.phase, event.duration_s) for event in events] == [("start", 0.3), ("end", 0.4)]
    assert sink.counters() == {"event.fall.active": 0, "event.fall.started": 1}


@pytest.fixture
def event() -> Event:
    rules = Rules([RULE])
    for n in range(4):
        events = rules.step(
            prediction(n * TICK_NS, {"fall": 0.9, "quiet": 0.1}, missing=["camera/a"])
        )
    return events[0]


def test_an_event_travels_and_is_recorded_without_a_loss(event: Event) -> None:
    data = wire.encode(event, (7, 3, event.t_publish_ns))
    assert wire.decode(data) == (msgspec.structs.replace(event, seq=3), 7)
    offset_ns = 1_784_000_000_000_000_000
    made = encode(event, "lossless", offset_ns)
    stored = Stored(
        stream=made.stream,
        schema=made.schema,
        sequence=made.seq,
        log_time_ns=made.t_publish_ns + offset_ns,
        data=b"".join(made.parts),
    )
    assert decode(stored, offset_ns) == event


def test_its_line_is_for_people(event: Event) -> None:
    assert event.report(10**18) == {
        "t": 1_000_000_000.3,
        "event": "fall",
        "phase": "start",
        "label": "fall",
        "score": 0.9,
        "peak": 0.9,
        "began": 1_000_000_000.0,
        "duration_s": 0.3,
        "top": "fall",
        "missing": ["camera/a"],
    }
