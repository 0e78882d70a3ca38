"""The bound on the rate, and what of a source may be shown."""

from __future__ import annotations

import numpy as np
import pytest

from sensors.video import RateLimit, shown

MS = 1_000_000


@pytest.mark.parametrize(("rate_hz", "expected"), [(30.0, 300), (15.0, 150), (20.0, 200)])
def test_jitter_of_the_source_does_not_lower_the_rate(rate_hz: float, expected: int) -> None:
    jitter_ms = np.random.default_rng(0).uniform(-4, 4, 300)
    times_ms = np.arange(300) * (1000 / 30) + jitter_ms
    limit = RateLimit(rate_hz)
    admitted = sum(limit.admits(round(t_ms * MS)) for t_ms in times_ms)
    assert admitted == pytest.approx(expected, abs=2)


def test_a_source_that_stops_for_a_while_is_not_made_up_for() -> None:
    limit = RateLimit(10.0)
    times_ms = [0, 100, *range(5_000, 5_200, 10)]
    assert [t_ms for t_ms in times_ms if limit.admits(t_ms * MS)] == [0, 100, 5_000, 5_080, 5_180]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rtsp://user:p@ss@host:554/cam", "rtsp://***@host:554/cam"),
        ("http://host/video?user=a&pwd=b", "http://host/video?..."),
        ("http://host/a@b", "http://host/a@b"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_passwords_are_not_shown(source: str, expected: str) -> None:
    assert shown(source) == expected
