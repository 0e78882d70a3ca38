"""What a bad device sends, in terms of encoder inputs and at a random dose: for training only.

engines.corruption has the doses that a model is judged by, in terms of samples; these are like
them. A part of the bad inputs is nothing but noise, as engines.noise draws it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engines.bundle import AudioSpec, EncoderSpec, ImageSpec, TextSpec
from engines.corruption import CONTRAST_LOST, LETTERS_LOST, PICTURE_SIGMA, READINGS_SIGMA
from engines.logmel import FLOOR
from engines.noise import noise_input
from engines.training.text_augment import replaced

POOL = 128
WORST_DOSE = 1.2
P_NOTHING_BUT_NOISE = 0.15
LOUDEST_DB, RANGE_DB = 21.0, 26.0  # of noise above the sound
QUIETER = 4.0  # how far sound is turned down that would clip: logarithm of power


class Spoiler:
    """Spoils inputs of one modality."""

    def __init__(self, spec: EncoderSpec, seed: int) -> None:
        rng = np.random.default_rng(seed)
        drawn = [noise_input(spec, rng) for _ in range(POOL)]
        self._spec = spec
        self._pool = torch.from_numpy(np.concatenate(drawn))

    def __call__(self, inputs: Tensor, bad: Tensor) -> Tensor:
        """The inputs, those where `bad` (B,) holds spoiled at random doses."""
        if not bool(bad.any()):
            return inputs
        n, device = len(inputs), inputs.device
        pool = self._pool.to(device)
        noise = pool[torch.randint(len(pool), (n,), device=device)]
        shape = (n,) + (1,) * (inputs.dim() - 1)
        # Rather high: at low doses a model for clean inputs is right anyway.
        dose = WORST_DOSE * torch.rand(shape, device=device).sqrt()
        only = torch.rand(shape, device=device) < P_NOTHING_BUT_NOISE
        spoiled = torch.where(only, noise, self._mix(inputs, noise, dose))
        return torch.where(bad.reshape(shape), spoiled, inputs)

    def _mix(self, inputs: Tensor, noise: Tensor, dose: Tensor) -> Tensor:
        if isinstance(self._spec, ImageSpec):
            return _picture(inputs, dose)
        spec = self._spec
        if isinstance(spec, AudioSpec) and (spec.features, spec.computed) == ("logmel", "host"):
            return _sound(inputs, noise, dose)
        if isinstance(self._spec, TextSpec) and self._spec.tokenizer is None:
            return replaced(inputs, (LETTERS_LOST * dose).clamp(max=1.0))
        if isinstance(self._spec, TextSpec):
            return torch.where(torch.rand(inputs.shape, device=inputs.device) < dose, noise, inputs)
        size = inputs.abs().mean() + inputs.std()
        return inputs + torch.randn_like(inputs) * size * READINGS_SIGMA * dose


def _picture(images: Tensor, dose: Tensor) -> Tensor:
    """Less contrast about black or about the mean, under normal noise."""
    pixels = images.float()
    mean = pixels.mean((1, 2, 3), keepdim=True)
    about = torch.where(torch.rand_like(dose) < 0.5, mean, torch.zeros_like(mean))
    contrast = (1.0 - CONTRAST_LOST * dose).clamp(min=0.0)
    grey = (*pixels.shape[:3], 1)
    noise = torch.randn(grey, device=pixels.device) * (255.0 * PICTURE_SIGMA) * dose
    return (about + (pixels - about) * contrast + noise).clamp(0.0, 255.0).round().to(torch.uint8)


def _wave(wave: Tensor, dose: Tensor) -> Tensor:
    """White noise, and turned down where it would clip."""
    louder_db = LOUDEST_DB - RANGE_DB * (1.0 - dose / WORST_DOSE)
    rms = (wave * wave).mean((1, 2, 3), keepdim=True).sqrt()
    mixed = wave + torch.randn_like(wave) * rms * 10.0 ** (louder_db / 20.0)
    return mixed / mixed.abs().amax((1, 2, 3), keepdim=True).clamp(min=1.0)


def _sound(log_mel: Tensor, noise: Tensor, dose: Tensor) -> Tensor:
    """White noise added to the power of each band, and then turned down, as clipping would need."""
    power = (log_mel.exp() - FLOOR).clamp(min=0.0)
    hiss = (noise.exp() - FLOOR).clamp(min=0.0)
    hiss = torch.roll(hiss, int(torch.randint(log_mel.shape[2], ())), 2)
    louder_db = LOUDEST_DB - RANGE_DB * (1.0 - dose / WORST_DOSE)
    gain = power.mean((2, 3), keepdim=True) / hiss.mean((2, 3), keepdim=True).clamp(min=FLOOR)
    mixed = power + hiss * gain * 10.0 ** (louder_db / 10.0)
    return torch.log(mixed + FLOOR) - QUIETER * torch.rand_like(dose)


def chance(n: int, share: float, like: Tensor) -> Tensor:
    """True for a share of n: bool (n,)."""
    return torch.rand(n, device=like.device) < share
