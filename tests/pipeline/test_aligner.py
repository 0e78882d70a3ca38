"""Which samples a prediction may use depends on streams and stamps alone."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.aligner import Aligner, WindowRule
from pipeline.sample import AudioChunk, Sample, TextEvent

MS = 1_000_000


def text(seq: int, t_ms: int, publish_ms: int | None = None) -> TextEvent:
    publish_ms = t_ms if publish_ms is None else publish_ms
    return TextEvent(
        stream="s", seq=seq, t_capture_ns=t_ms * MS, t_publish_ns=publish_ms * MS, text=str(seq)
    )


def chunk(seq: int) -> AudioChunk:
    """100 ms of sound, published when it is over."""
    return AudioChunk(
        stream="s",
        seq=seq,
        t_capture_ns=seq * 100 * MS,
        t_publish_ns=(seq + 1) * 100 * MS,
        pcm=np.zeros((1600, 1), np.int16),
        rate_hz=16_000,
    )


def window_of(rule: WindowRule, samples: list[Sample], tick_ms: int) -> list[int] | None:
    aligner = Aligner({"s": rule})
    for sample in samples:
        aligner.add(sample)
    window = aligner.window("s", tick_ms * MS)
    return None if window is None else [sample.seq for sample in window]


NEWEST = WindowRule(max_age_ns=50 * MS)
SECOND = WindowRule(max_age_ns=500 * MS, duration_ns=1000 * MS)


def test_a_stream_without_samples_has_no_window() -> None:
    assert window_of(NEWEST, [], 100) is None


def test_a_sample_is_admitted_at_the_tick_of_its_publication_and_not_before() -> None:
    samples: list[Sample] = [text(0, 10, publish_ms=10), text(1, 11, publish_ms=20)]
    assert window_of(NEWEST, samples, 19) == [0]
    assert window_of(NEWEST, samples, 20) == [1]


@pytest.mark.parametrize(("tick_ms", "expected"), [(60, [0]), (61, None)])
def test_a_sample_that_is_too_old_is_missing(tick_ms: int, expected: list[int] | None) -> None:
    assert window_of(NEWEST, [text(0, 10)], tick_ms) == expected


def test_the_newest_few_are_taken_and_fewer_at_the_start() -> None:
    rule = WindowRule(max_age_ns=50 * MS, count=3)
    samples: list[Sample] = [text(seq, seq) for seq in range(5)]
    assert window_of(rule, samples, 10) == [2, 3, 4]
    assert window_of(rule, samples[:2], 10) == [0, 1]


def test_a_duration_is_spanned_without_a_gap() -> None:
    chunks: list[Sample] = [chunk(seq) for seq in range(12)]
    assert window_of(SECOND, chunks, 1200) == list(range(2, 12))
    assert window_of(SECOND, chunks[:9], 1200) is None
    assert window_of(SECOND, chunks[:5] + chunks[6:], 1200) is None


def test_the_age_counts_from_the_end_of_the_sound() -> None:
    chunks: list[Sample] = [chunk(seq) for seq in range(10)]
    assert window_of(SECOND, chunks, 1500) is not None
    assert window_of(SECOND, chunks, 1501) is None


def test_a_publisher_that_starts_anew_starts_the_stream_anew() -> None:
    chunks: list[Sample] = [chunk(seq) for seq in range(10)]
    assert window_of(SECOND, [*chunks, chunk(0)], 1000) is None


def test_sound_that_is_missing_in_time_makes_no_window() -> None:
    """As after a publisher's restart whose numbers happen to go on."""
    chunks: list[Sample] = [chunk(seq) for seq in range(5)]
    later = [replace(chunk(seq), t_capture_ns=chunk(seq + 3).t_capture_ns) for seq in range(5, 12)]
    assert window_of(SECOND, [*chunks, *later], 1500) is None


def test_old_samples_are_let_go() -> None:
    aligner = Aligner({"s": NEWEST})
    for seq in range(5000):
        aligner.add(text(seq, seq))
    assert aligner.oldest("s").seq > 3000
