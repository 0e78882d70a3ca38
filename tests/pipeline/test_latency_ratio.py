"""The interval of a ratio: it holds what is true, and shows what is planted."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.latency import ratio

N_TRIES = 40
N_PAIRS = 8


def runs(rng: np.random.Generator, drift: np.ndarray, slower: float) -> list[list[float]]:
    """Latencies of one side: each run has an error of 3 % and shares the machine's drift."""
    return [
        list(slower * level * rng.normal(1, 0.03) * rng.lognormal(0, 0.3, 300)) for level in drift
    ]


def tries(slower: float) -> list[ratio.Ratio]:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(N_TRIES):
        drift = np.exp(np.cumsum(rng.normal(0, 0.2, N_PAIRS)))  # a machine that others use
        pair = runs(rng, drift, 1.0), runs(rng, drift, slower)
        found.append(ratio.of_pairs(*pair)["p50"])
    return found


def test_a_thing_against_itself_is_seldom_called_different() -> None:
    held = sum(low <= 1 <= high for _, low, high in tries(1.0))
    assert held >= N_TRIES * 17 / 20


def test_a_slowdown_of_a_tenth_is_mostly_seen_although_the_machine_drifts_by_more() -> None:
    found = tries(1.1)
    assert sum(low > 1 for _, low, _ in found) >= N_TRIES * 17 / 20
    assert np.median([middle for middle, _, _ in found]) == pytest.approx(1.1, rel=0.02)


def test_two_earlier_results_are_compared_by_blocks() -> None:
    rng = np.random.default_rng(5)
    a, b = list(rng.lognormal(0, 0.2, 2000)), list(1.5 * rng.lognormal(0, 0.2, 2000))
    middle, low, high = ratio.of_results(a, b)["p50"]
    assert low < middle < high
    assert [low, high] == pytest.approx([1.5, 1.5], rel=0.05)
    same = ratio.of_results(a, a)["p99"]
    assert same[0] == 1.0
    assert same[1] <= 1 <= same[2]


def test_equal_runs_have_a_ratio_of_one() -> None:
    same = [[1.0, 2.0]] * 4
    assert ratio.of_pairs(same, same)["p50"] == (1.0, 1.0, 1.0)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        ratio.of_pairs([[1.0]] * 3, [[1.0]] * 3)


def test_neither_side_always_comes_first() -> None:
    order: list[str] = []

    def side(name: str) -> list[float]:
        order.append(name)
        return [float(len(order))]

    a, b = ratio.in_turn(lambda: side("a"), lambda: side("b"), 4)
    assert "".join(order) == "abbaabba"
    assert (a, b) == ([[1], [4], [5], [8]], [[2], [3], [6], [7]])
