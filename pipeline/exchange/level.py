"""Puts chunks of sound at their places on one time line, without gaps: for formats without times.

What is missing becomes silence, what overlaps is cut, so that sound stays beside the pictures for
hours, whatever the clock of its device did.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.exchange.incoming import NS_PER_S
from pipeline.sample import AudioChunk, Int16Array

TOLERANCE_NS = 5_000_000
MAX_BLOCK = 2**20  # samples of silence at a time


class Level:
    """The sound of one stream from `zero_ns` on, at the rate and channels of its first chunk."""

    def __init__(self, zero_ns: int, first: AudioChunk) -> None:
        self._zero_ns = zero_ns
        self.rate_hz = first.rate_hz
        self.n_channels = first.pcm.shape[1]
        self.n_samples = 0

    def fits(self, chunk: AudioChunk) -> bool:
        """Whether the chunk is of the stream's rate and channels."""
        return chunk.rate_hz == self.rate_hz and chunk.pcm.shape[1] == self.n_channels

    def place(self, chunk: AudioChunk) -> Iterator[Int16Array]:
        """What follows what there is already: int16 (n, channels)."""
        due = (chunk.t_capture_ns - self._zero_ns) * self.rate_hz // NS_PER_S
        off = due - self.n_samples
        pcm = chunk.pcm
        if abs(off) * NS_PER_S > TOLERANCE_NS * self.rate_hz:
            while self.n_samples < due:
                n = min(MAX_BLOCK, due - self.n_samples)
                self.n_samples += n
                yield np.zeros((n, self.n_channels), np.int16)
            pcm = pcm[max(0, -off) :]
        if len(pcm):
            self.n_samples += len(pcm)
            yield pcm
