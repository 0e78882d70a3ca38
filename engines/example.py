"""A training example: what every encoder would be given at one tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

from engines.bundle import AudioSpec, Encoders, ImageSpec, ReadingsSpec, TextSpec

Array: TypeAlias = npt.NDArray[Any]

# The inputs of the bundle "home"; file names and hashes are filled in by the export.
HOME = Encoders(
    image=ImageSpec(
        file="image.onnx", sha256="", tokens=4, max_streams=4, height_px=96, width_px=96
    ),
    audio=AudioSpec(
        file="audio.onnx",
        sha256="",
        tokens=4,
        max_streams=4,
        rate_hz=16_000,
        mels=64,
        frames=98,
        frame_samples=400,
        hop_samples=160,
    ),
    text=TextSpec(file="text.onnx", sha256="", tokens=2, max_streams=4, length=96),
    readings=ReadingsSpec(
        file="readings.onnx", sha256="", tokens=1, max_streams=4, names=("temperature",), window=8
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """Encoder inputs and their ages by modality; a missing modality is in neither.

    `targets` {label set: the labels that hold, newest last}; a set that says nothing is not in it.
    """

    inputs: Mapping[str, Array]
    ages_s: Mapping[str, float]
    targets: Mapping[str, tuple[str, ...]]
