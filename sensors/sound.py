"""Sound on its way to chunks: resampling, cutting, and the time of each sample."""

from __future__ import annotations

import numpy as np

from pipeline.sample import Int16Array
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

    Samples are evenly spaced, so the count of samples is the better clock from block to block;
    the device's clock drifts, so the line follows the observed times, slowly. Observations that
    lie off by more than TOLERANCE_NS, JUMP_AFTER in a row, mean lost sound: the line jumps.
    """

    TOLERANCE_NS = 20_000_000
    JUMP_AFTER = 5
    GAIN = 0.02

    def __init__(self, start_ns: int) -> None:
        self._start_ns = float(start_ns)
        self._n_observed = 0
        self._outliers = 0

    def observe(self, position_ns: int, captured_ns: int) -> bool:
        """Take the observed time of a position. True: the line jumped."""
        error_ns = captured_ns - self.time_ns(position_ns)
        if abs(error_ns) <= self.TOLERANCE_NS:
            self._n_observed += 1
            self._start_ns += error_ns * max(self.GAIN, 1 / self._n_observed)
            self._outliers = 0
            return False
        self._outliers += 1
        if self._outliers < self.JUMP_AFTER:
            return False
        self._start_ns += error_ns
        self._outliers = 0
        return True

    def time_ns(self, position_ns: int) -> int:
        """The monotonic time of a position."""
        return round(self._start_ns) + position_ns
