"""From samples to a delay: what was seen, what was heard, and what of it belongs together."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from pipeline.calibration.click import Clicks
from pipeline.calibration.delay import Delay, delay_of, n_pairs
from pipeline.calibration.flash import Flashes
from pipeline.child import Stop
from pipeline.sample import AudioChunk, Frame, Sample


class Events:
    """The flashes and clicks among the samples of one camera and one microphone."""

    def __init__(self) -> None:
        self._flashes, self._clicks = Flashes(), Clicks()
        self.flashes_ns: list[int] = []
        self.clicks_ns: list[int] = []

    def take(self, sample: Sample | None) -> bool:
        """Take in a sample; whether it held an event."""
        n_before = len(self.flashes_ns) + len(self.clicks_ns)
        if isinstance(sample, Frame):
            flash_ns = self._flashes.take(sample)
            if flash_ns is not None and sample.intact():
                self.flashes_ns.append(flash_ns)
        elif isinstance(sample, AudioChunk):
            self.clicks_ns += self._clicks.take(sample)
        return len(self.flashes_ns) + len(self.clicks_ns) > n_before

    @property
    def n_pairs(self) -> int:
        """How many flashes have a click, as far as can be told by now."""
        return n_pairs(self.flashes_ns, self.clicks_ns)

    @property
    def delay(self) -> Delay:
        """Raises CalibrationError."""
        return delay_of(self.flashes_ns, self.clicks_ns)


def all_events(samples: Iterable[Sample]) -> Events:
    """Those of a whole log or film."""
    events = Events()
    for sample in samples:
        events.take(sample)
    return events


def events_until(
    samples: Iterable[Sample | None], wanted: int, limit_s: float, stop: Stop
) -> Events:
    """Those of live streams, until there are enough pairs, for so long at most."""
    events, n_shown = Events(), 0
    deadline_s = time.monotonic() + limit_s
    for sample in samples:
        if events.take(sample) and (n_now := events.n_pairs) > n_shown:
            n_shown = n_now
            sys.stderr.write(f"{n_now} of {wanted}\n")
        if n_shown >= wanted or stop.is_set() or time.monotonic() > deadline_s:
            break
    return events


def told(events: Events) -> dict[str, Any]:
    """What `--json` prints of them. Raises CalibrationError."""
    delay = events.delay
    return {
        "delay_ms": round(delay.delay_ns / 1e6, 1),
        "spread_ms": round(delay.spread_ns / 1e6, 1),
        "uncertainty_ms": round(delay.uncertainty_ns / 1e6, 1),
        "pairs": delay.n_pairs,
        "flashes": len(events.flashes_ns),
        "clicks": len(events.clicks_ns),
    }
