"""What a chunk of sound, and those before it, show of a microphone that is stuck."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pipeline.sample import AudioChunk, Int16Array

# Steps of 16 bits, from the least to the greatest. A microphone's own noise spreads over ten and
# more; a muted one gives zeros, or a constant, dithered by a step.
SILENT_SPREAD = 2
RAIL = 32_700  # of 32,767
# A shout or a slammed door clips for a moment, and in few of its samples; where the gain is wrong
# most of a second does, in many.
CLIPPED_SHARE = 0.05  # of the samples of a chunk
CLIPPED_TIME = 0.5  # of about the last CLIPPED_OVER_S
CLIPPED_OVER_S = 1.0


class SoundEar:
    """Listens to the chunks of one stream, in their order."""

    def __init__(self, *, hears_frozen: bool) -> None:
        self._hears_frozen = hears_frozen
        self._before: Int16Array | None = None
        self._clipped = 0.0  # the share of the time

    def look(self, chunk: AudioChunk, _: int) -> Iterator[str]:
        """The faults that this chunk may be a sign of."""
        pcm, before = chunk.pcm, self._before
        self._before = pcm
        low, high = int(pcm.min()), int(pcm.max())
        lasts_s = len(pcm) / chunk.rate_hz
        kept = math.exp(-lasts_s / CLIPPED_OVER_S)
        clips = _clipped_share(pcm, low, high) >= CLIPPED_SHARE
        self._clipped = kept * self._clipped + (1 - kept) * clips
        if high - low <= SILENT_SPREAD:
            yield "silent"
        elif self._hears_frozen and before is not None and np.array_equal(pcm, before):
            yield "frozen"
        if self._clipped >= CLIPPED_TIME:
            yield "clipping"


def _clipped_share(pcm: Int16Array, low: int, high: int) -> float:
    if low > -RAIL and high < RAIL:
        return 0.0
    return float(((pcm >= RAIL) | (pcm <= -RAIL)).mean())
