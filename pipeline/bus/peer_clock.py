"""The clock of another host, by round trips: what to add to its times, and how sure that is.

A question leaves at `asked`, reaches the peer at its `got`, leaves it at its `answered`, and the
answer is back at `back`. No delay is negative, so that our clock minus the peer's lies between
asked - got and back - answered (the bounds of NTP's offset, RFC 5905, section 8: its offset is
their middle, half the round trip its error). What is known is the intersection of these bounds
over all round trips, each widened by what two clocks may drift apart since. Slow round trips
have wide bounds and add nothing: it is a minimum filter without a window.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

MAX_DRIFT_PPM = 500  # the most by which a kernel disciplines its clock (adjtimex(2))
BUCKET = 16  # round trips, of which the fastest is a point of the drift's fit
N_POINTS = 32
MIN_POINTS = 3


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Nanoseconds: `asked` and `back` on our clock, `got` and `answered` on the peer's."""

    asked_ns: int
    got_ns: int
    answered_ns: int
    back_ns: int

    @property
    def delay_ns(self) -> int:
        """The time on the way, both ways together."""
        return (self.back_ns - self.asked_ns) - (self.answered_ns - self.got_ns)


class PeerClock:
    """Knows the offset, our clock minus the peer's, once one round trip was added."""

    def __init__(self) -> None:
        self.steps = 0
        self.forget()

    def forget(self) -> None:
        """Know nothing: the peer may have another clock from now on."""
        self._bounds: tuple[int, int] | None = None
        self._at_ns = 0
        self._bucket: list[RoundTrip] = []
        self._points: deque[tuple[int, float]] = deque(maxlen=N_POINTS)

    @property
    def known(self) -> bool:
        """Whether there is an offset."""
        return self._bounds is not None

    @property
    def offset_ns(self) -> int:
        """What to add to a time of the peer. Only if `known`."""
        assert self._bounds is not None
        return sum(self._bounds) // 2

    def uncertainty_ns(self, now_ns: int) -> int:
        """How far off the offset may be at our time `now_ns`. Only if `known`."""
        assert self._bounds is not None
        low, high = self._bounds
        return (high - low + 1) // 2 + _drift_ns(now_ns - self._at_ns)

    @property
    def drift_ppb(self) -> int | None:
        """How fast our clock gains on the peer's, in parts per billion; None until it is known."""
        if len(self._points) < MIN_POINTS:
            return None
        times, offsets = np.array(self._points, np.float64).T
        slope = np.polyfit(times - times[0], offsets - offsets[0], 1)[0]
        return round(float(slope) * 1e9)

    def add(self, trip: RoundTrip) -> None:
        """Take in a round trip; one with a negative delay is none."""
        if trip.delay_ns < 0 or trip.answered_ns < trip.got_ns:
            return
        margin_ns = _drift_ns(trip.back_ns - trip.asked_ns)
        low = trip.asked_ns - trip.got_ns - margin_ns
        high = trip.back_ns - trip.answered_ns + margin_ns
        if self._bounds is not None:
            wider_ns = _drift_ns(trip.back_ns - self._at_ns)
            both = max(low, self._bounds[0] - wider_ns), min(high, self._bounds[1] + wider_ns)
            if both[0] > both[1]:
                # Nothing fits both: a host slept or was started anew. The newest is right.
                self.steps += 1
                self.forget()
            else:
                low, high = both
        self._bounds, self._at_ns = (low, high), trip.back_ns
        self._fit(trip)

    def _fit(self, trip: RoundTrip) -> None:
        """Let the fastest of each bucket be a point of the line whose slope is the drift."""
        self._bucket.append(trip)
        if len(self._bucket) < BUCKET:
            return
        best = min(self._bucket, key=lambda one: one.delay_ns)
        middle = (best.asked_ns - best.got_ns + best.back_ns - best.answered_ns) / 2
        self._points.append((best.back_ns, middle))
        self._bucket.clear()


def _drift_ns(duration_ns: int) -> int:
    """By how much two clocks may drift apart in this time, rounded up."""
    return -(-abs(duration_ns) * MAX_DRIFT_PPM // 1_000_000)
