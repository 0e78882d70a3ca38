"""By how much pictures are later than sound, from flashes and clicks that were one event each.

Some flashes have no click and some clicks no flash: what many pairs agree on is the delay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.error import SensoriumError

MAX_DELAY_NS = 1_000_000_000
TOLERANCE_NS = 60_000_000  # pairs of one delay lie within so much of it: a picture's period
MIN_PAIRS = 5
MAX_SPREAD_NS = 70_000_000  # pictures at 10 Hz make it 50 ms
RIVAL = 0.6  # another delay that so many pairs speak for, of those of the best, makes it unsure


class CalibrationError(SensoriumError):
    """No delay can be told from what was seen and heard; one line says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Pictures are `delay_ns` later than sound; half of the pairs lie within `spread_ns`."""

    delay_ns: int
    spread_ns: int
    n_pairs: int

    @property
    def uncertainty_ns(self) -> int:
        """Of the median, at 95 %, as if the delays were normally distributed."""
        return round(1.96 * 1.253 * self.spread_ns / 1.349 / math.sqrt(self.n_pairs))


def delay_of(flashes_ns: Sequence[int], clicks_ns: Sequence[int]) -> Delay:
    """The median of what the pairs say. Raises CalibrationError."""
    told = f"{len(flashes_ns)} flashes and {len(clicks_ns)} clicks"
    of_flash, apart_ns = _differences(flashes_ns, clicks_ns)
    n_each = np.array([_n_agreeing(each, of_flash, apart_ns) for each in apart_ns])
    n_best = int(n_each.max(initial=0))
    if n_best < MIN_PAIRS or n_best < min(len(flashes_ns), len(clicks_ns)) / 2:
        raise CalibrationError(
            f"{told}, but only {n_best} of them together: at least {MIN_PAIRS}, and half of all,"
            " must be pairs; flash and click at the same moment, again and again"
        )
    centre_ns = float(np.median(apart_ns[n_each == n_best]))
    far = np.abs(apart_ns - centre_ns) > TOLERANCE_NS
    if n_each[far].max(initial=0) >= RIVAL * n_best:
        raise CalibrationError(
            f"{told}, but more than one delay fits: let more than"
            f" {2 * MAX_DELAY_NS / 1e9:g} s pass between two events, and not always the same time"
        )
    pairs_ns = _closest(centre_ns, of_flash, apart_ns)
    low, middle, high = np.percentile(pairs_ns, (25, 50, 75))
    if high - low > MAX_SPREAD_NS:
        raise CalibrationError(
            f"{told}, whose delays spread by {(high - low) / 1e6:.0f} ms: flash and click together,"
            " where both are seen and heard well"
        )
    return Delay(delay_ns=round(middle), spread_ns=round(high - low), n_pairs=len(pairs_ns))


def n_pairs(flashes_ns: Sequence[int], clicks_ns: Sequence[int]) -> int:
    """The most pairs that agree, as far as can be told by now."""
    of_flash, apart_ns = _differences(flashes_ns, clicks_ns)
    return max((_n_agreeing(each, of_flash, apart_ns) for each in apart_ns), default=0)


def _differences(
    flashes_ns: Sequence[int], clicks_ns: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each flash and each click not far from it: the flash's number, and flash - click."""
    flashes, clicks = np.array(flashes_ns, np.int64), np.array(clicks_ns, np.int64)
    apart = flashes[:, None] - clicks[None, :]
    near = np.abs(apart) <= MAX_DELAY_NS
    numbers, _ = np.nonzero(near)
    return numbers.astype(np.int64), apart[near]


def _n_agreeing(
    delay_ns: float, of_flash: npt.NDArray[np.int64], apart_ns: npt.NDArray[np.int64]
) -> int:
    return len(np.unique(of_flash[np.abs(apart_ns - delay_ns) <= TOLERANCE_NS]))


def _closest(
    delay_ns: float, of_flash: npt.NDArray[np.int64], apart_ns: npt.NDArray[np.int64]
) -> list[int]:
    """One difference a flash: that nearest to the delay, if it agrees."""
    found: dict[int, int] = {}
    for number, apart in zip(of_flash.tolist(), apart_ns.tolist(), strict=True):
        best = found.get(number)
        if abs(apart - delay_ns) <= TOLERANCE_NS and (
            best is None or abs(apart - delay_ns) < abs(best - delay_ns)
        ):
            found[number] = apart
    return list(found.values())
