"""How fast something grows: a robust slope with its uncertainty."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Z95 = 1.96
BLOCKS = 30


class Slope(NamedTuple):
    """Per unit of time: the estimate, and the 95 % interval around it."""

    estimate: float
    lower: float
    upper: float


def theil_sen(times: NDArray[np.float64], values: NDArray[np.float64]) -> Slope:
    """The median of the slopes of all pairs of block medians; the interval is Sen's (1968).

    Neighbours in time are alike, and would make the interval too narrow: so each of thirty blocks
    counts once.
    """
    blocks = [b for b in np.array_split(np.arange(len(times)), BLOCKS) if b.size]
    t = np.array([np.median(times[b]) for b in blocks])
    v = np.array([np.median(values[b]) for b in blocks])
    first, second = np.triu_indices(len(blocks), 1)
    slopes = np.sort((v[second] - v[first]) / (t[second] - t[first]))
    n = len(blocks)
    half = Z95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    last = len(slopes) - 1
    lower = slopes[max(0, math.floor(last / 2 - half))]
    upper = slopes[min(last, math.ceil(last / 2 + half))]
    return Slope(float(np.median(slopes)), float(lower), float(upper))
