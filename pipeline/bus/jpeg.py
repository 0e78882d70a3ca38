"""Pictures as JPEG, for the way to another host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.sample import ColourOrder, UInt8Array

MAX_PIXELS = 64 * 2**20  # an 8K picture has half of that
_HEAD_BYTES = 9  # of a frame segment: length, precision, height, width, components
# Frame segments, which hold the size (ITU T.81, table B.1); C4, C8 and CC are something else.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

# OpenCV is imported where it is used: most processes have no pictures.


def encode(pixels: UInt8Array, order: ColourOrder, quality: int) -> bytes:
    """A picture as JPEG. Raises ValueError if it has no JPEG form."""
    import cv2

    bgr = pixels if order == "bgr" else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    try:
        encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise ValueError(f"no JPEG: {error.err}") from error
    if not encoded:
        raise ValueError("a picture that has no JPEG form")
    return data.tobytes()


def decode(data: memoryview, size_px: tuple[int, int], order: ColourOrder) -> UInt8Array:
    """The picture of (height, width), read-only. Raises ValueError.

    The size is checked before anything is decoded: a few bytes can hold a huge picture.
    """
    import cv2

    if size_px[0] * size_px[1] > MAX_PIXELS:
        raise ValueError(f"a picture of {size_px[0]} x {size_px[1]} pixels is too large")
    if (found_px := jpeg_size_px(data)) != size_px:
        raise ValueError(f"a JPEG of {found_px} pixels, {size_px} expected")
    # What a picture says of its own orientation would turn it, and change its size.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"no JPEG: {error.err}") from error
    if pixels is None or pixels.shape != (*size_px, 3):
        raise ValueError("a JPEG that cannot be decoded")
    picture: UInt8Array = pixels.astype(np.uint8, copy=False)
    if order == "rgb":
        picture = np.ascontiguousarray(picture[..., ::-1])
    picture.flags.writeable = False
    return picture


def jpeg_size_px(data: memoryview) -> tuple[int, int]:
    """(height, width) as the first frame segment says. Raises ValueError where there is none."""
    at = 2
    if bytes(data[:2]) != b"\xff\xd8":
        raise ValueError("no JPEG")
    while at + 2 + _HEAD_BYTES <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAME_MARKERS:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return height, int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + length
    raise ValueError("a JPEG without a size")
