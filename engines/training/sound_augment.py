"""Harmless changes of sound features: speed, pitch, level, colour, and masks as SpecAugment has."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engines.training.image_augment import spread

STRETCH_BANDS, STRETCH_TIME = 0.12, 0.15
SHIFT_BANDS, SHIFT_TIME = 0.05, 0.15  # of half the length
LEVEL = 1.0  # standard deviation of the logarithm of power
COLOUR, COLOUR_KNOTS = 0.6, 6
MASKS = 2  # each way
MASK_TIME, MASK_BANDS = 0.16, 0.15  # the longest, as shares
QUIETEST_DB, LOUDEST_DB = -12.0, 6.0


def augmented_sound(features: Tensor, strength: float) -> Tensor:
    """float32 (B, 1, frames, bands): log-mel energies or MFCC.

    Warped along both axes with the low end of the bands fixed, as by another voice; then a level,
    a smooth colour as of another microphone, and masks (Park et al. 2019, without time warping).
    """
    moved = _warp(features, strength)
    n, bands = len(moved), moved.shape[3]
    level = LEVEL * strength * torch.randn(n, 1, 1, 1, device=moved.device)
    knots = torch.randn(n, 1, COLOUR_KNOTS, device=moved.device)
    colour = functional.interpolate(knots, size=bands, mode="linear", align_corners=True)
    coloured = moved + level + COLOUR * strength * colour.unsqueeze(2)
    return _masked(coloured, strength)


def augmented_wave(wave: Tensor, strength: float) -> Tensor:
    """float32 (B, 1, 1, samples): later or earlier, louder or softer, and with a gap."""
    n, length = len(wave), wave.shape[3]
    longest = int(SHIFT_TIME * strength * length / 2)
    moved = torch.roll(wave, int(torch.randint(-longest, longest + 1, ())), 3)
    gain_db = QUIETEST_DB + (LOUDEST_DB - QUIETEST_DB) * torch.rand(n, 1, 1, 1, device=wave.device)
    gap = _stretch(n, length, MASK_TIME * strength, wave)[:, None, None, :]
    return torch.where(gap, torch.zeros_like(moved), moved * 10.0 ** (strength * gain_db / 20.0))


def _warp(features: Tensor, strength: float) -> Tensor:
    n, like = len(features), features
    wide = 1.0 + spread(n, STRETCH_BANDS * strength, like)
    up = spread(n, SHIFT_BANDS * strength, like)
    slow = 1.0 + spread(n, STRETCH_TIME * strength, like)
    late = spread(n, SHIFT_TIME * strength, like)
    nothing = torch.zeros(n, device=like.device)
    rows = [
        torch.stack([wide, nothing, up + wide - 1.0], 1),
        torch.stack([nothing, slow, late], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(features.shape), align_corners=False)
    return functional.grid_sample(features, grid, padding_mode="reflection", align_corners=False)


def _masked(features: Tensor, strength: float) -> Tensor:
    """A few frames and a few bands are the mean of all."""
    n, _, frames, bands = features.shape
    mean = features.mean((2, 3), keepdim=True)
    for _ in range(MASKS):
        late = _stretch(n, frames, MASK_TIME * strength, features)
        features = torch.where(late[:, None, :, None], mean, features)
        high = _stretch(n, bands, MASK_BANDS * strength, features)
        features = torch.where(high[:, None, None, :], mean, features)
    return features


def _stretch(n: int, length: int, longest: float, like: Tensor) -> Tensor:
    """A stretch of up to a share `longest` of a length: bool (n, length)."""
    long = torch.rand(n, 1, device=like.device) * longest * length
    start = torch.rand(n, 1, device=like.device) * (length - long)
    place = torch.arange(length, device=like.device)
    return (place >= start) & (place < start + long)
