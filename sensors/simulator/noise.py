"""Broken devices: samples of noise that claim to be what they replace."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent

LETTERS = np.array(list(string.ascii_lowercase + "    "))


def noise(samples: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
    """The same stream with the same times, but each sample is noise.

    Pictures are uniform, sound is white at a level between -30 and 0 dB of full scale, texts are
    random letters, readings jump by 5 units.
    """
    level = 32767.0 * 10.0 ** rng.uniform(-1.5, 0.0)
    return [_noise(sample, rng, level) for sample in samples]


def _noise(sample: Sample, rng: np.random.Generator, level: float) -> Sample:
    match sample:
        case Frame():
            return replace(sample, pixels=rng.integers(0, 256, sample.pixels.shape, np.uint8))
        case AudioChunk():
            pcm = rng.uniform(-level, level, sample.pcm.shape).astype(np.int16)
            return replace(sample, pcm=pcm)
        case TextEvent():
            return replace(sample, text="".join(rng.choice(LETTERS, int(rng.integers(10, 60)))))
        case Reading():
            values = rng.normal(20.0, 5.0, sample.values.shape).astype(np.float32)
            return replace(sample, values=values)
    raise TypeError(type(sample).__name__)
