"""A training example: what every encoder would see at one tick, from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engines.bundle import AudioSpec, Encoders, EncoderSpec, ImageSpec, ReadingsSpec, TextSpec
from engines.logmel import LogMel
from engines.preprocess import image_input, readings_input, text_input

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
    """Encoder inputs and their ages by modality; a missing modality is in neither."""

    label: str
    inputs: Mapping[str, Array]
    ages_s: Mapping[str, float]


def audio_input(pcm: npt.NDArray[np.int16], spec: AudioSpec) -> npt.NDArray[np.float32] | None:
    """Log-mel of sound int16 (n, channels): float32 (1, 1, frames, mels), or None."""
    logmel = LogMel(spec)
    logmel.push(pcm)
    return logmel.features().copy() if logmel.full else None


def encoder_input(spec: EncoderSpec, raw: Sequence[Any]) -> Array | None:
    """The input of an encoder from all that its stream delivered, oldest first.

    `raw` holds pictures uint8 BGR, pieces of sound int16 (n, channels), texts, or readings
    float32 (n,). None where the stream has not delivered enough.
    """
    if not raw:
        return None
    if isinstance(spec, ImageSpec):
        return image_input(raw[-1], "bgr", spec)
    if isinstance(spec, AudioSpec):
        return audio_input(np.concatenate(raw), spec)
    if isinstance(spec, TextSpec):
        return text_input(raw[-1], spec)
    assert isinstance(spec, ReadingsSpec)
    return readings_input(raw, spec)
