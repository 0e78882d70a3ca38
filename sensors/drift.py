"""How fast the clock of a sound card runs against the host's, from many inexact times."""

from __future__ import annotations

from collections import deque

import numpy as np

BUCKET_NS = 1_000_000_000  # of sound; what it says together is one point of the fit
# A block may come late by much, but hardly early: what is told below most of a bucket is steady.
EARLY = 0.1
MAX_POINTS = 300  # five minutes: a crystal that gets warm is followed
MIN_POINTS = 20
MAX_ERROR_PPM = 5.0  # one standard error of the slope; until then nothing is known
MAX_PPM = 1000.0  # no crystal is so wrong: sound is being lost


class Drift:
    """Takes where each block lies by count, and how far behind that the host saw it.

    A point is the low tenth of a second of sound; the slope through the points, by least squares,
    is the drift. After a gap the count means another time, so each piece has a level of its own.
    """

    def __init__(self) -> None:
        self._points: deque[tuple[int, int, float]] = deque(maxlen=MAX_POINTS)
        self._piece = 0
        self._bucket: list[float] = []
        self._bucket_ns = 0
        self.slope = 0.0
        self.known = False

    @property
    def ppm(self) -> float | None:
        """Above zero: the card is fast, and gives more samples than its rate says."""
        return -self.slope * 1e6 if self.known else None

    def begin(self) -> None:
        """Sound is missing, or was thrown away: what comes now is another piece."""
        self._piece += 1
        self._bucket = []

    def add(self, position_ns: int, behind_ns: int) -> bool:
        """Take one block; whether it completed a point, so that the answer may be another."""
        if not self._bucket:
            self._bucket_ns = position_ns
        self._bucket.append(behind_ns)
        if position_ns - self._bucket_ns < BUCKET_NS:
            return False
        self._points.append((self._piece, position_ns, float(np.quantile(self._bucket, EARLY))))
        self._bucket = []
        self._fit()
        return True

    def _fit(self) -> None:
        """`slope` is host time gained per time by count, 0 until it is known."""
        pieces, x, y = np.array(self._points, np.float64).T
        _, numbers, counts = np.unique(pieces, return_inverse=True, return_counts=True)
        x = x - (np.bincount(numbers, x) / counts)[numbers]
        y = y - (np.bincount(numbers, y) / counts)[numbers]
        sxx, free = float(x @ x), len(x) - len(counts) - 1
        if len(x) < MIN_POINTS or free < 1 or not sxx:
            self.known, self.slope = False, 0.0
            return
        slope = float(x @ y) / sxx
        left = y - slope * x
        error_ppm = 1e6 * float(left @ left / free / sxx) ** 0.5
        self.known = error_ppm <= MAX_ERROR_PPM and abs(slope) * 1e6 <= MAX_PPM
        self.slope = slope if self.known else 0.0
