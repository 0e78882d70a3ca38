"""Small forms of what a modality saw, heard or read: what a head that reconstructs learns."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.bundle import EncoderSpec, ReadingsSpec
from engines.logmel import FLOOR

SIDE = 8  # of a small picture in pixels; of small sound in frames and bands
BUCKETS = 64  # of the bytes or tokens of a text


def small_shape(modality: str, spec: EncoderSpec) -> tuple[int, ...]:
    """The shape of the small form."""
    if isinstance(spec, ReadingsSpec):
        return spec.window, len(spec.names)
    return {"image": (SIDE, SIDE, 3), "audio": (SIDE, SIDE), "text": (BUCKETS,)}[modality]


def small(modality: str, prepared: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The small form of one encoder input (1, ...), flat; its members are of the order of 1.

    Of a picture its mean colours, of sound its mean levels, of readings how they change, of a text
    how often it has each byte or token.
    """
    form = {"image": _picture, "audio": _sound, "text": _text, "readings": _readings}[modality]
    return np.asarray(form(prepared[0]), np.float32).ravel()


def _picture(pixels: npt.NDArray[Any]) -> Any:
    return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 127.5 - 1.0


def _sound(features: npt.NDArray[Any]) -> Any:
    if features.shape[1] == 1:  # sound itself: the level of each piece
        pieces = np.array_split(features[0, 0], SIDE * SIDE)
        return np.log([(piece * piece).mean() + FLOOR for piece in pieces]) / 4.0 + 1.5
    return (cv2.resize(features[0], (SIDE, SIDE), interpolation=cv2.INTER_AREA) + 6.0) / 4.0


def _text(numbers: npt.NDArray[Any]) -> Any:
    known = numbers[numbers > 0] % BUCKETS
    return np.bincount(known, minlength=BUCKETS) * (8.0 / max(1, len(known)))


def _readings(rows: npt.NDArray[Any]) -> Any:
    return rows - rows.mean(0)
