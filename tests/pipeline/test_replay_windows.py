"""The windows that a recorded prediction names: found by number and time, or missing."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.aligner import WindowRule
from pipeline.prediction import Prediction
from pipeline.replay.recorded_windows import (
    MAX_OTHERS,
    MAX_PICTURES,
    RecordedWindows,
    same_inputs,
    same_window,
)
from pipeline.sample import Sample, TextEvent, Tokens

MS = 1_000_000
RULES = {
    "s": WindowRule(max_age_ns=500 * MS, count=2),
    "picture": WindowRule(max_age_ns=500 * MS, latest=True),
}


def text(seq: int, t_ms: int, stream: str = "s") -> TextEvent:
    t_ns = t_ms * MS
    return TextEvent(stream=stream, seq=seq, t_capture_ns=t_ns, t_publish_ns=t_ns, text=str(t_ms))


def prediction(tick_ms: int, **inputs: list[tuple[int, int]]) -> Prediction:
    return Prediction(
        stream="prediction/x",
        seq=0,
        t_capture_ns=tick_ms * MS,
        t_publish_ns=tick_ms * MS + 1,
        outputs={},
        inputs={s: [(seq, t_ms * MS) for seq, t_ms in named] for s, named in inputs.items()},
        ages_ns={s: (tick_ms - named[-1][1]) * MS - 7 for s, named in inputs.items()},
        missing=[],
        weights={},
        backend={},
    )


def windows(*samples: Sample) -> RecordedWindows:
    made = RecordedWindows(RULES)
    for sample in samples:
        made.add(sample)
    return made


def times_ms(made: RecordedWindows, tick_ms: int) -> list[int] | None:
    window = made.window("s", tick_ms * MS)
    return None if window is None else [sample.t_capture_ns // MS for sample in window]


def test_the_named_samples_are_found_and_no_others() -> None:
    made = windows(*(text(seq, 10 * seq) for seq in range(9)))
    assert made.window("s", 100 * MS) is None
    made.name(prediction(100, s=[(3, 30), (5, 50)]))
    assert times_ms(made, 100) == [30, 50]
    assert made.window("s", 101 * MS) is None
    assert made.window("picture", 100 * MS) is None
    made.name(prediction(110))
    assert made.window("s", 110 * MS) is None
    assert not +made.lacking


def test_of_two_publishers_that_count_alike_the_time_tells() -> None:
    made = windows(text(0, 10), text(1, 20), text(0, 210), text(1, 220))
    made.name(prediction(300, s=[(0, 10), (1, 20)]))
    assert times_ms(made, 300) == [10, 20]
    made.name(prediction(400, s=[(0, 210), (1, 220)]))
    assert times_ms(made, 400) == [210, 220]


def test_a_clock_of_another_host_that_was_read_a_little_otherwise_does_no_harm() -> None:
    made = windows(text(0, 10), text(1, 200))
    made.name(prediction(300, s=[(0, 14), (1, 190)]))
    assert times_ms(made, 300) == [10, 200]
    made.name(prediction(301, s=[(0, 10), (1, 20)]))
    assert times_ms(made, 301) is None


def test_a_window_of_which_a_sample_lacks_is_missing_and_counted() -> None:
    made = windows(text(1, 20))
    made.name(prediction(30, s=[(0, 10), (1, 20)]))
    assert times_ms(made, 30) is None
    assert made.lacking == {"s": 1}


def test_a_rule_that_wants_less_is_given_less() -> None:
    made = windows(*(text(seq, 10 * seq) for seq in range(4)))
    made.name(prediction(40, s=[(1, 10), (2, 20), (3, 30)]))
    assert times_ms(made, 40) == [20, 30]


def test_memory_is_bounded() -> None:
    made = RecordedWindows(RULES)
    for seq in range(MAX_OTHERS + 10):
        made.add(text(seq, seq))
        made.add(text(seq, seq, "picture"))
    assert made.oldest("s").seq == 10
    assert made.oldest("picture").seq == MAX_OTHERS + 10 - MAX_PICTURES


def test_tokens_stand_in_with_the_times_of_their_window() -> None:
    values = np.ones((2, 4), np.float32)
    tokens = Tokens(
        stream="tokens/s", seq=99, t_capture_ns=20 * MS, t_publish_ns=41 * MS, of="s", values=values
    )
    made = windows(tokens)
    made.name(prediction(40, s=[(0, 10), (1, 20)]))
    window = made.window("s", 40 * MS)
    assert window is not None
    assert [(s.seq, s.t_capture_ns) for s in window] == [(0, 10 * MS), (1, 20 * MS)]
    assert window[-1].t_end_ns == 20 * MS + 7
    assert isinstance(window[-1], Tokens)
    assert window[-1].values is values


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([], [], True),
        ([(1, 5)], [(1, 5)], True),
        ([(1, 5)], [(1, 5 + 49 * MS)], True),
        ([(1, 5)], [(1, 5 + 51 * MS)], False),
        ([(1, 5)], [(2, 5)], False),
        ([(1, 5)], [(1, 5), (2, 6)], False),
    ],
)
def test_windows_are_the_same_if_their_samples_are(
    one: list[tuple[int, int]], other: list[tuple[int, int]], same: bool
) -> None:
    assert same_window(one, other) is same
    assert same_inputs({"a": one}, {"a": other}) is same
    assert not same_inputs({"a": one}, {"b": other})
