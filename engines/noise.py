"""What a broken device sends while it claims to work: noise in place of a sample."""

from __future__ import annotations

import string

import cv2
import numpy as np
import numpy.typing as npt

from engines.bundle import AudioSpec, EncoderSpec, ImageSpec, ReadingsSpec, TextSpec
from engines.example import Array
from engines.logmel import LogMel
from engines.preprocess import image_input, readings_input, sound_input, text_input

LETTERS = np.array(list(string.ascii_lowercase + string.digits + "   "))


def noise_input(spec: EncoderSpec, rng: np.random.Generator) -> Array:
    """One input of noise for an encoder, of random strength."""
    if isinstance(spec, ImageSpec):
        return image_input(_picture(rng), "rgb", spec)
    if isinstance(spec, AudioSpec) and spec.computed == "graph":
        return sound_input(_hiss(spec, rng), spec)
    if isinstance(spec, AudioSpec):
        log_mel = LogMel(spec)
        log_mel.push(_hiss(spec, rng))
        return np.array(log_mel.features())
    if isinstance(spec, TextSpec) and spec.tokenizer is not None:
        return _words(spec, rng)
    if isinstance(spec, TextSpec):
        return text_input("".join(rng.choice(LETTERS, int(rng.integers(5, spec.length)))), spec)
    assert isinstance(spec, ReadingsSpec)
    scale = 10.0 ** rng.uniform(-1.0, 1.5)
    rows = rng.normal(20.0, scale, (spec.window, len(spec.names))).astype(np.float32)
    return readings_input(list(rows), spec)


def _words(spec: TextSpec, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Words drawn at random, of a tokenizer's vocabulary."""
    out = np.zeros((1, spec.length), np.int32)
    n = int(rng.integers(2, spec.length + 1))
    out[0, :n] = rng.integers(1, spec.vocabulary + 1, n)
    return out


def _picture(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Grey or coloured noise, even or normal, fine or coarse."""
    grain_px, channels = int(rng.choice([1, 1, 1, 2, 4])), 1 if rng.random() < 0.2 else 3
    size = (240 // grain_px, 320 // grain_px, channels)
    spread = rng.uniform(25.0, 90.0)
    normal = rng.random() < 0.5
    values = rng.normal(0.0, spread, size) if normal else rng.uniform(-1.5, 1.5, size) * spread
    pixels = np.clip(values + rng.uniform(80.0, 175.0), 0, 255).astype(np.uint8)
    large = np.asarray(cv2.resize(pixels, (320, 240), interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.ascontiguousarray(np.broadcast_to(large.reshape(240, 320, -1), (240, 320, 3)))


def _hiss(spec: AudioSpec, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """White noise, even or normal, from faint to clipped."""
    n = spec.frame_samples + spec.hop_samples * spec.frames
    values = rng.standard_normal((n, 1)) if rng.random() < 0.5 else rng.uniform(-1.7, 1.7, (n, 1))
    level = 32767.0 * 10.0 ** rng.uniform(-2.3, 0.1)
    return np.asarray(np.clip(values * level, -32768, 32767), np.int16)
