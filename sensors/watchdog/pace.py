"""What capture times and the number of samples show of a device whose time is wrong."""

from __future__ import annotations

from collections import deque

from pipeline.sample import AudioChunk, Sample

STOPPED_NS = 1_000_000_000  # so long no capture time has changed
FUTURE_NS = 250_000_000  # nothing is captured after now; clocks of devices are read with an error
PAST_NS = 5_000_000_000  # longer than any buffer on the way of a live sample
SLOW, FAST = 0.5, 1.5  # of the configured rate; in the dark many cameras expose for two periods
WINDOW_S = 2.0
MIN_SAMPLES = 8  # that a window should hold, so that one more or less makes no difference


class Stamps:
    """The capture times of one stream. Events may be old and come at one time, others may not."""

    def __init__(self, *, are_events: bool) -> None:
        self._are_events = are_events
        self._newest_ns: int | None = None
        self._changed_ns = 0

    def wrong(self, sample: Sample, now_ns: int) -> bool:
        """Whether this sample's time cannot be true."""
        before_ns, stamp_ns = self._newest_ns, sample.t_capture_ns
        self._newest_ns = stamp_ns
        if before_ns is None or stamp_ns != before_ns:
            self._changed_ns = now_ns
        if sample.t_end_ns > now_ns + FUTURE_NS or (before_ns is not None and stamp_ns < before_ns):
            return True
        if self._are_events:
            return False
        return now_ns - self._changed_ns >= STOPPED_NS or sample.t_end_ns < now_ns - PAST_NS


class Pace:
    """How many samples come in a window, against `rate_hz`; of sound, how many seconds of it."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._window_ns = int(1e9 * max(WINDOW_S, MIN_SAMPLES / rate_hz))
        self._counted: deque[tuple[int, float]] = deque()
        self._amount = 0.0
        self._begun_ns: int | None = None

    def count(self, sample: Sample, now_ns: int) -> None:
        """Take in one sample."""
        amount = len(sample.pcm) / sample.rate_hz if isinstance(sample, AudioChunk) else 1.0
        self._counted.append((now_ns, amount))
        self._amount += amount

    def fault(self, now_ns: int) -> str:
        """slow or fast; "" if neither, or before a window is full."""
        if self._begun_ns is None:
            self._begun_ns = now_ns
        while self._counted and self._counted[0][0] <= now_ns - self._window_ns:
            self._amount -= self._counted.popleft()[1]
        if now_ns - self._begun_ns < self._window_ns:
            return ""
        share = self._amount / (self._rate_hz * self._window_ns / 1e9)
        return "slow" if share < SLOW else "fast" if share > FAST else ""
