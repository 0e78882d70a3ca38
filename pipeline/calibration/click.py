"""When a sound is suddenly steep: a click, a clap, a knock."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from pipeline.sample import AudioChunk

BLOCK_MS = 5
KEPT = 200  # blocks whose steepness is the usual one: a second
MIN_KEPT = 20
# Steps of 16 bits from one sample to the next: neither hum nor an offset is steep.
MIN_STEP = 300.0
NOISE_FACTOR = 8.0
REST_NS = 300_000_000  # its echo, and the end of it, are no other click
NS_PER_S = 1_000_000_000


class Clicks:
    """Finds the clicks of one microphone, from its chunks in their order."""

    def __init__(self) -> None:
        self._usual: deque[float] = deque(maxlen=KEPT)
        self._loud_ns: int | None = None
        self._last: int | None = None

    def take(self, chunk: AudioChunk) -> list[int]:
        """The capture times of the clicks that begin in this chunk."""
        if not len(chunk.pcm):
            return []
        steps, limit, found = self._steps(chunk), self._limit(), list[int]()
        n = max(1, chunk.rate_hz * BLOCK_MS // 1000)
        starts = np.arange(0, len(steps), n)
        peaks = np.maximum.reduceat(steps, starts)
        self._usual.extend(peaks[peaks <= limit].tolist())
        for start in starts[peaks > limit].tolist():
            at = start + int(np.argmax(steps[start : start + n] > limit))
            at_ns = chunk.t_capture_ns + at * NS_PER_S // chunk.rate_hz
            if self._loud_ns is None or at_ns - self._loud_ns > REST_NS:
                found.append(at_ns)
            self._loud_ns = at_ns
        return found

    def _steps(self, chunk: AudioChunk) -> npt.NDArray[np.int32]:
        """How far each sample, int32 (n,), lies from the one before it."""
        wave = chunk.pcm.mean(axis=1).astype(np.int32)
        last = wave[0] if self._last is None else self._last
        self._last = int(wave[-1])
        steps: npt.NDArray[np.int32] = np.abs(np.diff(wave, prepend=np.int32(last)))
        return steps

    def _limit(self) -> float:
        """What is steeper than this is a click; in the first chunk nothing is."""
        if len(self._usual) < MIN_KEPT:
            return math.inf
        return max(MIN_STEP, NOISE_FACTOR * float(np.median(self._usual)))
