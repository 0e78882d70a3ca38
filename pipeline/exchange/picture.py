"""PNG and JPEG pictures as pixels. The size is checked before anything is decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.bus import jpeg
from pipeline.exchange.incoming import ExchangeError
from pipeline.sample import UInt8Array

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_FILE_BYTES = 256 * 2**20
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SIZE = slice(16, 24)  # width and height, in the first chunk (RFC 2083, 4.1.1)

# OpenCV is imported where it is used: many imports have no pictures.


def decode(data: bytes) -> UInt8Array:
    """The picture, BGR uint8 (height, width, 3), read-only. Raises ValueError."""
    if data[:2] == b"\xff\xd8":
        view = memoryview(data)
        return jpeg.decode(view, jpeg.jpeg_size_px(view), "bgr")
    if data[:8] != _PNG:
        raise ValueError("neither PNG nor JPEG")
    size_px = data[_PNG_SIZE]
    width, height = int.from_bytes(size_px[:4], "big"), int.from_bytes(size_px[4:], "big")
    check_size(width, height)
    return _png(data, (height, width))


def check_size(width: int, height: int) -> None:
    """Raises ValueError where a picture has no pixels, or more than any camera."""
    if not 0 < width * height <= jpeg.MAX_PIXELS:
        raise ValueError(f"a picture of {width} x {height} pixels")


def read(path: Path) -> UInt8Array:
    """The picture in a file. Raises ExchangeError."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("the file is too large")
        return decode(path.read_bytes())
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ExchangeError(f"{path}: is no picture that can be read: {error}") from error


def _png(data: bytes, size_px: tuple[int, int]) -> UInt8Array:
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"no PNG: {error.err}") from error
    if pixels is None or pixels.shape != (*size_px, 3):
        raise ValueError("a PNG that cannot be decoded")
    picture: UInt8Array = pixels.astype(np.uint8, copy=False)
    picture.flags.writeable = False
    return picture
