"""Payloads of commands: a fixed set of names, nothing evaluated, always well-formed JSON."""

from __future__ import annotations

import json

import pytest

from pipeline.event.event import Event
from pipeline.home.template import check_payload, fill, values_of

HOSTILE = 'x", "state": "ON\n{0.__class__} $score'
EVENT = Event(
    stream="event/fall",
    seq=0,
    t_capture_ns=2_500_000_000,
    t_publish_ns=2_500_000_000,
    name="fall",
    phase="start",
    label=HOSTILE,
    score=0.912345,
    peak=0.95,
    began_ns=1_500_000_000,
    until_ns=2_500_000_000,
    top="fall",
)


def test_names_are_replaced_and_numbers_stay_numbers() -> None:
    values = values_of(EVENT, "kitchen", 1_000_000_000)
    assert fill("$event $phase ${score}% of $run: $$1 at $time", values) == (
        b"fall start 0.9123% of kitchen: $1 at 3.5"
    )
    table = {"state": "ON", "level": 3, "score": "$score", "since": "${began}", "why": ["$top!"]}
    assert json.loads(fill(table, values)) == {
        "state": "ON",
        "level": 3,
        "score": 0.9123,
        "since": 2.5,
        "why": ["fall!"],
    }


def test_no_label_breaks_out_of_a_table_and_none_is_expanded_again() -> None:
    filled = json.loads(fill({"state": "OFF", "label": "is $label"}, values_of(EVENT, "a", 0)))
    assert filled == {"state": "OFF", "label": f"is {HOSTILE}"}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("$evnt", "no value `$evnt`; did you mean `$event`?"),
        ({"a": ["${scor}"]}, "no value `$scor`; did you mean `$score`?"),
        ("costs 5$", "Invalid placeholder"),
        ("${event.__class__}", "Invalid placeholder"),
        ({"a": object()}, "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_filled_is_said_before_anything_starts(payload: object, said: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|no value|JSON") as error:
        check_payload(payload)  # type: ignore[arg-type]
    assert said in str(error.value)
