"""Pictures decoded straight into the memory from which they are published."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from pipeline.sample import OWN, Memory, UInt8Array

Lend: TypeAlias = Callable[[tuple[int, int, int]], tuple[UInt8Array, Memory]]


class Picture(NamedTuple):
    """When a picture came or is due, in monotonic ns; its pixels (H, W, 3), and their memory."""

    t_capture_ns: int
    pixels: UInt8Array
    memory: Memory


def own_memory(shape: tuple[int, int, int]) -> tuple[UInt8Array, Memory]:
    """New memory for a picture: what a publisher lends where nothing is shared."""
    return np.empty(shape, np.uint8), OWN


class Exposure:
    """Decodes what a capture has grabbed, scaled to `size_px` (width, height).

    The first picture of a size tells the shape; those after it are made in what `lend` lends.
    """

    def __init__(self, lend: Lend, size_px: tuple[int, int] | None) -> None:
        self._lend, self._size_px = lend, size_px
        self._shape: tuple[int, int, int] | None = None

    def take(self, capture: cv2.VideoCapture, t_capture_ns: int) -> Picture | None:
        """The picture; None if it cannot be decoded."""
        if self._size_px is not None or self._shape is None:
            decoded, image = capture.retrieve()
            return self._scaled(image, t_capture_ns) if decoded else None
        pixels, memory = self._lend(self._shape)
        decoded, image = capture.retrieve(pixels)
        if not decoded:
            return None
        if image.shape != self._shape or image.ctypes.data != pixels.ctypes.data:
            # OpenCV takes memory of its own when the source changes its size.
            return self._scaled(image, t_capture_ns)
        return Picture(t_capture_ns, pixels, memory)

    def _scaled(self, image: cv2.typing.MatLike, t_capture_ns: int) -> Picture:
        pixels = np.asarray(image, np.uint8)
        is_colour = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
        self._shape = (pixels.shape[0], pixels.shape[1], 3) if is_colour else None
        if self._size_px in (None, pixels.shape[1::-1]) or not is_colour:
            return Picture(t_capture_ns, pixels, OWN)
        width, height = self._size_px or (0, 0)
        made, memory = self._lend((height, width, 3))
        shrinks = width <= pixels.shape[1] and height <= pixels.shape[0]
        cv2.resize(
            pixels, (width, height), made, 0, 0, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return Picture(t_capture_ns, made, memory)
