"""What a bad device sends while it claims to work, by how bad it is: a known dose, and seeded.

At dose 1 it is what a robust model is judged by: a picture at 25 % contrast under normal noise of
sigma 0.45, sound under 18 dB of white noise, a text of which 70 % of the letters were replaced.
At dose 0 nothing changes; between and beyond, the dose scales it. Torch-free, on the raw arrays of
samples, before any front end: a picture, the sound of a whole window, a text, the readings of one.
"""

from __future__ import annotations

import string

import numpy as np
import numpy.typing as npt

CONTRAST_LOST = 0.75
PICTURE_SIGMA = 0.45  # of a full scale of 1
SOUND_NOISE_DB = 18.0  # above the sound itself
LETTERS_LOST = 0.7
READINGS_SIGMA = 0.25  # of the readings' mean size
QUIETEST = 1.0  # root mean square of int16 sound that counts as silence
LETTERS = np.array(list(string.ascii_lowercase))


def bad_picture(
    pixels: npt.NDArray[np.uint8], dose: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """A picture of any shape, of less contrast and under noise. A grey one stays grey."""
    contrast = max(0.0, 1.0 - CONTRAST_LOST * dose)
    is_grey = bool((pixels[..., :1] == pixels).all())
    shape = (*pixels.shape[:-1], 1) if is_grey else pixels.shape
    noise = rng.standard_normal(shape, np.float32) * np.float32(255.0 * PICTURE_SIGMA * dose)
    made = np.clip(pixels.astype(np.float32) * contrast + noise, 0.0, 255.0)
    return np.asarray(np.rint(made), np.uint8)


def bad_sound(
    pcm: npt.NDArray[np.int16], dose: float, rng: np.random.Generator
) -> npt.NDArray[np.int16]:
    """Sound (n, channels) under white noise, made fainter where it would clip."""
    wave = pcm.astype(np.float64)
    rms = max(QUIETEST, float(np.sqrt((wave * wave).mean()))) if len(wave) else 0.0
    wave += rng.standard_normal(wave.shape) * rms * dose * 10.0 ** (SOUND_NOISE_DB / 20.0)
    peak = float(np.abs(wave).max(initial=0.0))
    return np.asarray(np.rint(wave * min(1.0, 32767.0 / max(peak, 1.0))), np.int16)


def bad_text(text: str, dose: float, rng: np.random.Generator) -> str:
    """A text with some of its letters replaced by others; what is no letter stays."""
    lost = rng.random(len(text)) < LETTERS_LOST * dose
    drawn = rng.choice(LETTERS, len(text)) if text else LETTERS[:0]
    pairs = zip(text, lost, drawn, strict=True)
    return "".join(str(new) if gone and old.isalpha() else old for old, gone, new in pairs)


def bad_readings(
    values: npt.NDArray[np.float32], dose: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Readings (window, n) under noise that knows no unit: a share of how large each is."""
    size = np.abs(values).mean(axis=0) + values.std(axis=0)
    noise = rng.standard_normal(values.shape) * size * READINGS_SIGMA * dose
    return np.asarray(values + noise, np.float32)
