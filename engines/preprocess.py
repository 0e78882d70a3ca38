"""From raw arrays to what the graphs take. Training and the runtime call the same functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.bundle import AudioSpec, ImageSpec, ReadingsSpec, TextSpec
from engines.error import EngineError
from engines.tokenizer import tokenized


def image_input(
    pixels: npt.NDArray[np.uint8], order: str, spec: ImageSpec
) -> npt.NDArray[np.uint8]:
    """A picture (height, width, 3) as uint8 RGB (1, height_px, width_px, 3)."""
    size = (spec.width_px, spec.height_px)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    if order == "bgr":
        small = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return np.asarray(small, np.uint8)[None]


def sound_input(pcm: npt.NDArray[np.int16], spec: AudioSpec) -> npt.NDArray[np.float32]:
    """The sound of a window's newest frames: int16 (n, channels) to float32 (1, 1, 1, samples).

    Frames start with the window's first sample, as they do in LogMel; channels are averaged.
    """
    mono = pcm.mean(axis=1, dtype=np.float32) / np.float32(32768.0)
    end = len(mono) - (len(mono) - spec.frame_samples) % spec.hop_samples
    out = np.zeros((1, 1, 1, spec.samples), np.float32)
    newest = mono[max(0, end - spec.samples) : end]
    out[..., spec.samples - len(newest) :] = newest
    return out


def text_input(text: str, spec: TextSpec, folder: Path | None = None) -> npt.NDArray[np.int32]:
    """The first `length` UTF-8 bytes of a text, each plus one, zero-padded: int32 (1, length).

    With a tokenizer, which lies in `folder`, its ids take the place of bytes. Raises EngineError.
    """
    if spec.tokenizer is not None:
        if folder is None:
            raise EngineError(f"{spec.tokenizer.file}: the folder of the tokenizer is not known")
        return tokenized(text, spec, folder)
    data = np.frombuffer(text.lower().encode("utf-8")[: spec.length], np.uint8)
    out = np.zeros((1, spec.length), np.int32)
    out[0, : len(data)] = data.astype(np.int32) + 1
    return out


def readings_input(
    rows: Sequence[npt.NDArray[np.float32]], spec: ReadingsSpec
) -> npt.NDArray[np.float32]:
    """The newest readings, oldest first: float32 (1, window, n); the oldest fills what lacks."""
    newest = list(rows[-spec.window :])
    padded = [newest[0]] * (spec.window - len(newest)) + newest
    return np.stack(padded).astype(np.float32)[None]
