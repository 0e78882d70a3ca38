"""Sound on its way to chunks: resampling, cutting, and the time of each sample."""

from __future__ import annotations

from collections import deque

import numpy as np

from pipeline.sample import Int16Array
from sensors.drift import Drift
from sensors.portaudio import imported

CHUNK_MS = 100
NS_PER_S = 1_000_000_000


class ChunkCutter:
    """Resamples int16 sound of any block size and cuts it into chunks of CHUNK_MS.

    A position is the time in ns from the first sample ever fed. The resampler (soxr "HQ") takes
    its own delay out of positions; it only holds 7 to 40 ms of sound back.
    """

    def __init__(self, from_hz: int, to_hz: int, n_channels: int) -> None:
        self._rate_hz = to_hz
        self._size = to_hz * CHUNK_MS // 1000
        self._n_cut = 0
        self._held = np.zeros((0, n_channels), np.int16)
        self._resampler = None
        if from_hz != to_hz:
            self._resampler = imported("soxr").ResampleStream(
                from_hz, to_hz, n_channels, dtype="float32"
            )

    def feed(self, pcm: Int16Array, *, last: bool = False) -> list[tuple[int, Int16Array]]:
        """Take int16 (n, channels); give (position_ns, chunk). With `last` the rest comes too."""
        if self._resampler is not None:
            # As float: of int16 the resampler would dither its output, differently each time.
            wave = self._resampler.resample_chunk(pcm.astype(np.float32), last=last)
            pcm = np.clip(np.rint(wave), -32768, 32767).astype(np.int16)
        self._held = np.concatenate([self._held, pcm])
        chunks: list[tuple[int, Int16Array]] = []
        while len(self._held) >= self._size or (last and len(self._held)):
            chunk, self._held = self._held[: self._size], self._held[self._size :]
            chunks.append((self._n_cut * NS_PER_S // self._rate_hz, chunk))
            self._n_cut += len(chunk)
        return chunks


class Timeline:
    """The time of a position in a stream of sound, from many inexact times of its blocks.

    Samples are evenly spaced, so the count of samples is the better clock from block to block. The
    device's clock drifts: the line has the slope that `drift` has found, and follows the observed
    times, slowly. Observations that lie off by more than TOLERANCE_NS, JUMP_AFTER in a row that
    agree with one another, mean lost sound: the line jumps.
    """

    TOLERANCE_NS = 20_000_000
    JUMP_AFTER = 5
    LOST_AFTER = 50  # in a row, whether they agree or not: a burst of late blocks is shorter
    GAIN = 0.02

    def __init__(self, start_ns: int, drift: Drift | None = None) -> None:
        self.drift = drift or Drift()
        # The line goes through this point, so that another slope moves only what is to come.
        self._at_ns, self._time_ns = 0, float(start_ns)
        self._n_observed = 0
        self._outliers: deque[float] = deque(maxlen=self.LOST_AFTER)

    def observe(self, position_ns: int, captured_ns: int) -> bool:
        """Take the observed time of a position. True: the line jumped."""
        error_ns = captured_ns - self._exact_ns(position_ns)
        if abs(error_ns) <= self.TOLERANCE_NS:
            self._n_observed += 1
            self._outliers.clear()
            self._move(position_ns, error_ns * max(self.GAIN, 1 / self._n_observed))
            self.drift.add(position_ns, captured_ns - position_ns)
            return False
        self._outliers.append(error_ns)
        newest = list(self._outliers)[-self.JUMP_AFTER :]
        agree = max(newest) - min(newest) <= self.TOLERANCE_NS
        if len(self._outliers) < (self.JUMP_AFTER if agree else self.LOST_AFTER):
            return False
        self._move(position_ns, sorted(newest)[len(newest) // 2])
        self._outliers.clear()
        self.drift.begin()
        return True

    def time_ns(self, position_ns: int) -> int:
        """The monotonic time of a position."""
        return round(self._exact_ns(position_ns))

    def _exact_ns(self, position_ns: int) -> float:
        since_ns = position_ns - self._at_ns
        return self._time_ns + since_ns + since_ns * self.drift.slope

    def _move(self, position_ns: int, by_ns: float) -> None:
        """Let the line go through this position, moved by so much."""
        self._at_ns, self._time_ns = position_ns, self._exact_ns(position_ns) + by_ns
