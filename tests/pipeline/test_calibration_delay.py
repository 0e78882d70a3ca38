"""The delay between pictures and sound: found among what is no pair, or refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.calibration.delay import CalibrationError, delay_of, n_pairs
from pipeline.calibration.flash import Flashes
from pipeline.calibration.measurement import all_events
from tests.pipeline.claps import (
    MICROPHONE,
    SECOND_NS,
    moments_ns,
    pictures,
    recording,
    sound,
)

MS = 1_000_000


@pytest.mark.parametrize("late_ms", [-180, 0, 35, 240])
def test_a_planted_delay_is_found(late_ms: int) -> None:
    at_ns = moments_ns(12)
    events = all_events(recording(at_ns, at_ns, late_ms * MS))
    assert len(events.flashes_ns) == len(events.clicks_ns) == 12
    found = events.delay
    assert found.n_pairs == 12
    assert found.delay_ns / MS == pytest.approx(late_ms, abs=10)
    assert found.spread_ns < 34 * MS
    assert abs(found.delay_ns - late_ms * MS) < found.uncertainty_ns + MS


def test_what_is_no_pair_does_no_harm() -> None:
    """A lamp without a click, and doors that slam in the dark."""
    at_ns, random = moments_ns(14), np.random.default_rng(4)
    end_ns = at_ns[-1]
    slams_ns = [round(t) for t in random.uniform(SECOND_NS, end_ns, 6)]
    events = all_events(recording(at_ns, sorted([*at_ns[:10], *slams_ns]), 50 * MS))
    assert len(events.flashes_ns) == 14
    assert events.delay.delay_ns / MS == pytest.approx(50, abs=12)
    assert events.delay.n_pairs in (10, 11)


def test_too_few_pairs_are_refused() -> None:
    at_ns = moments_ns(4)
    with pytest.raises(CalibrationError, match=r"4 flashes and 4 clicks, but only 4 .* at least 5"):
        delay_of(at_ns, at_ns)
    with pytest.raises(CalibrationError, match="0 flashes and 0 clicks"):
        delay_of([], [])
    assert n_pairs([], at_ns) == 0


def test_few_pairs_of_many_events_are_refused() -> None:
    random = np.random.default_rng(5)
    flashes, clicks = (sorted(random.uniform(0, 600e9, 60).astype(int).tolist()) for _ in "ab")
    with pytest.raises(CalibrationError, match="and half of all, must be pairs"):
        delay_of(flashes, clicks)


def test_a_steady_beat_is_refused_because_two_delays_fit() -> None:
    beat = [n * SECOND_NS // 2 for n in range(30)]
    with pytest.raises(CalibrationError, match="more than one delay fits"):
        delay_of(beat, beat)


def test_delays_that_spread_are_refused() -> None:
    at_ns = moments_ns(24)
    spread = [t + [-55, 0, 55][n % 3] * MS for n, t in enumerate(at_ns)]
    with pytest.raises(CalibrationError, match="spread by 110 ms"):
        delay_of(spread, at_ns)
    two = [t + [-55, 55][n % 2] * MS for n, t in enumerate(at_ns)]
    with pytest.raises(CalibrationError, match="spread by 110 ms"):
        delay_of(two, at_ns)


def test_light_that_is_switched_on_is_one_event_and_then_the_usual() -> None:
    flashes, found = Flashes(), []
    for frame in pictures([], 10 * SECOND_NS):
        is_lit = frame.t_capture_ns > 3 * SECOND_NS
        level = frame.pixels // (1 if is_lit else 4)
        if (flash_ns := flashes.take(replace(frame, pixels=level))) is not None:
            found.append(flash_ns)
    assert [round(t / SECOND_NS) for t in found] == [3]


def test_a_flash_after_a_pause_of_the_camera_has_no_time() -> None:
    at_ns = [5 * SECOND_NS]
    kept = [f for f in pictures(at_ns, 8 * SECOND_NS) if not 4.5e9 < f.t_capture_ns < 5e9]
    assert [f for f in map(Flashes().take, kept) if f is not None] == []


def test_a_loud_hum_is_no_click_and_hides_none() -> None:
    at_ns = moments_ns(6)
    chunks = list(sound(at_ns, at_ns[-1] + SECOND_NS, hum=8000.0))
    assert {chunk.stream for chunk in chunks} == {MICROPHONE}
    clicks = all_events(chunks).clicks_ns
    assert clicks == pytest.approx(at_ns, abs=MS)
