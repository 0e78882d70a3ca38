"""The measure itself: it finds a leak in noise, and none where there is none."""

from __future__ import annotations

import numpy as np

from tests.slope import theil_sen

T_S = np.arange(0, 600.0)
NOISE = np.random.default_rng(1).normal(0, 0.05, T_S.size)


def test_a_slope_is_found_in_noise_and_steps() -> None:
    found = theil_sen(T_S, 50 + T_S * 0.01 + NOISE)
    assert found.lower <= 0.01 <= found.upper
    assert found.upper - found.lower < 0.001


def test_one_step_or_some_peaks_are_no_slope() -> None:
    peaks = np.where(T_S % 97 == 0, 30.0, 0.0)
    step = np.where(T_S > 560, 0.5, 0.0)
    found = theil_sen(T_S, 50 + peaks + step + NOISE)
    assert abs(found.estimate) < 0.0001


def test_what_does_not_change_has_no_slope() -> None:
    assert theil_sen(T_S, np.full(T_S.size, 7.0)) == (0.0, 0.0, 0.0)
