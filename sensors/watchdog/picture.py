"""What a single picture, and the one before it, show of a camera that is stuck.

It looks at about 3,000 pixels of a picture of any size, and twice at the whole of one that
seems to be that before it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from pipeline.sample import Frame, UInt8Array

THUMB_PX = (48, 64)  # rows and columns that are looked at
# 8-bit levels. A lit room spreads over more than a hundred; noise of a sensor in the dark has a
# deviation of 3 and more, so a dark room is neither black nor covered.
FLAT_SPREAD = 32  # between the darkest and the brightest pixel; above, nothing is computed
FLAT_DEVIATION = 2.5
BLACK_LEVEL = 16  # video's black
# Mean difference of neighbours. A detailed picture has 5 to 20, noise of a deviation of 25 has 28.
NOISE_STEP = 50
WHOLE_EVERY_NS = 250_000_000  # how often a picture that seems unchanged is read as a whole


class PictureEye:
    """Looks at the pictures of one stream, in their order."""

    def __init__(self, *, sees_frozen: bool) -> None:
        self._sees_frozen = sees_frozen
        self._thumb: UInt8Array | None = None
        self._whole: int | None = None
        self._still, self._read_ns = False, 0

    def look(self, frame: Frame, now_ns: int) -> Iterator[str]:
        """The faults that this picture may be a sign of."""
        thumb = thumb_of(frame.pixels)
        if self._sees_frozen and self._is_same(frame, thumb, now_ns):
            yield "frozen"
        self._thumb = thumb
        darkest, brightest = int(thumb.min()), int(thumb.max())
        if brightest - darkest > FLAT_SPREAD:
            if neighbour_step(frame.pixels) >= NOISE_STEP:
                yield "noise"
        elif thumb.std() <= FLAT_DEVIATION:
            yield "black" if thumb.mean() <= BLACK_LEVEL else "covered"

    def _is_same(self, frame: Frame, thumb: UInt8Array, now_ns: int) -> bool:
        """Whether nothing at all has changed: only a small part of a picture may be moving."""
        if self._thumb is None or not np.array_equal(thumb, self._thumb):
            self._whole, self._still = None, False
            return False
        if self._whole is None or now_ns - self._read_ns >= WHOLE_EVERY_NS:
            whole = zlib.crc32(np.ascontiguousarray(frame.pixels).data)
            self._still, self._whole = self._whole in (None, whole), whole
            self._read_ns = now_ns
        return self._still


def thumb_of(pixels: UInt8Array) -> UInt8Array:
    """Every nth pixel, uint8 (<= 96, <= 128, 3), in memory of its own."""
    rows, columns = (max(1, n // most) for n, most in zip(pixels.shape, THUMB_PX, strict=False))
    thumb: UInt8Array = pixels[::rows, ::columns].copy()
    return thumb


def neighbour_step(pixels: UInt8Array) -> float:
    """The mean difference of horizontal neighbours, in levels of the second channel."""
    rows, columns = (max(2, n // most) for n, most in zip(pixels.shape, THUMB_PX, strict=False))
    right = pixels[::rows, 1::columns, 1].astype(np.int16)
    left = pixels[::rows, ::columns, 1][:, : right.shape[1]]
    return float(np.abs(right - left).mean()) if right.size else 0.0
