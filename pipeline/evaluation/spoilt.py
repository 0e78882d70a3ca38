"""The samples of a stream as a bad device would have sent them: a seeded dose of corruption."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import cast

import numpy as np
from msgspec.structs import replace

from engines.corruption import bad_picture, bad_readings, bad_sound, bad_text
from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent


def spoilt(samples: Sequence[Sample], dose: float, number: int) -> Sequence[Sample]:
    """The same stream with the same times. `number` is that of the window; it seeds the noise."""
    if not samples:
        return samples
    rng = np.random.default_rng([number, zlib.crc32(samples[0].stream.encode())])
    match samples[0]:
        case AudioChunk():
            return _sound(cast(Sequence[AudioChunk], samples), dose, rng)
        case Reading():
            return _readings(cast(Sequence[Reading], samples), dose, rng)
    return [_one(sample, dose, rng) for sample in samples]


def _one(sample: Sample, dose: float, rng: np.random.Generator) -> Sample:
    match sample:
        case Frame():
            return replace(sample, pixels=bad_picture(sample.pixels, dose, rng))
        case TextEvent():
            return replace(sample, text=bad_text(sample.text, dose, rng))
    return sample


def _sound(chunks: Sequence[AudioChunk], dose: float, rng: np.random.Generator) -> Sequence[Sample]:
    """The noise is as loud as the whole window asks for, not each chunk."""
    whole = bad_sound(np.concatenate([chunk.pcm for chunk in chunks]), dose, rng)
    ends = np.cumsum([len(chunk.pcm) for chunk in chunks])[:-1]
    parts = np.split(whole, ends)
    return [replace(chunk, pcm=pcm) for chunk, pcm in zip(chunks, parts, strict=True)]


def _readings(rows: Sequence[Reading], dose: float, rng: np.random.Generator) -> Sequence[Sample]:
    values = bad_readings(np.stack([row.values for row in rows]), dose, rng)
    return [replace(row, values=found) for row, found in zip(rows, values, strict=True)]
