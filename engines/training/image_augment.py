"""Harmless changes of pictures: place, size, turn, light, grain, and patches that hide a part."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

TURN = math.radians(15.0)
ZOOM, SQUEEZE, SHEAR = 0.2, 0.15, 0.2
SHIFT = 0.19  # of half a side
GAIN, OFFSET = 0.3, 0.1
GRAIN, BLOTCHES = 0.15, 0.2
BLOTCH_CELLS = 8
P_PATCH = 0.35
P_MIRROR, P_RECOLOUR = 0.5, 0.3


def augmented_image(images: Tensor, strength: float, *, mirror: bool) -> Tensor:
    """uint8 (B, height, width, 3). `mirror` is for scenes without letters or a colour's meaning."""
    n, device = len(images), images.device
    pixels = images.permute(0, 3, 1, 2).float() / 255.0
    if mirror:
        flip = torch.rand(n, 1, 1, 1, device=device) < P_MIRROR
        pixels = torch.where(flip, pixels.flip(3), pixels)
        other = pixels[:, torch.randperm(3)]
        recolour = torch.rand(n, 1, 1, 1, device=device) < P_RECOLOUR
        pixels = torch.where(recolour, other, pixels)
    moved = _move(pixels, strength)
    hidden = _hide(_relight(moved, strength), P_PATCH * strength)
    return (hidden.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)


def spread(n: int, width: float, like: Tensor) -> Tensor:
    """Evenly drawn between -width and width: (n,)."""
    return (2.0 * torch.rand(n, device=like.device) - 1.0) * width


def _move(pixels: Tensor, strength: float) -> Tensor:
    n = len(pixels)
    turn = spread(n, TURN * strength, pixels)
    wide = 1.0 + spread(n, ZOOM * strength, pixels)
    high = wide * (1.0 + spread(n, SQUEEZE * strength, pixels))
    shear = spread(n, SHEAR * strength, pixels)
    right, down = (spread(n, SHIFT * strength, pixels) for _ in range(2))
    rows = [
        torch.stack([turn.cos() * wide, -turn.sin() * high + shear, right], 1),
        torch.stack([turn.sin() * wide, turn.cos() * high, down], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _relight(pixels: Tensor, strength: float) -> Tensor:
    """Another gain a colour, another brightness, fine grain and coarse blotches."""
    n, _, height, width = pixels.shape
    like = pixels
    gain = 1.0 + spread(n, GAIN * strength, like)[:, None, None, None]
    tint = 1.0 + (torch.rand(n, 3, 1, 1, device=like.device) - 0.5) * 0.2 * strength
    offset = spread(n, OFFSET * strength, like)[:, None, None, None]
    grain = torch.randn(n, 1, height, width, device=like.device)
    cells = torch.randn(n, 1, BLOTCH_CELLS, BLOTCH_CELLS, device=like.device)
    blotches = functional.interpolate(cells, size=(height, width), mode="bilinear")
    grains = torch.rand(n, 1, 1, 1, device=like.device) * GRAIN * strength
    depths = torch.rand(n, 1, 1, 1, device=like.device) * BLOTCHES * strength
    return pixels * gain * tint + offset + grain * grains + blotches * depths


def _hide(pixels: Tensor, share: float) -> Tensor:
    """A patch of one shade over a share of the pictures, an eighth to three eighths a side."""
    n, _, height, width = pixels.shape
    inside = _strip(n, height, pixels).unsqueeze(2) & _strip(n, width, pixels).unsqueeze(1)
    chosen = torch.rand(n, 1, 1, device=pixels.device) < share
    shade = torch.rand(n, 1, 1, 1, device=pixels.device)
    return torch.where((inside & chosen).unsqueeze(1), shade, pixels)


def _strip(n: int, length: int, like: Tensor) -> Tensor:
    """A strip somewhere along a side: bool (n, length)."""
    long = (0.125 + 0.25 * torch.rand(n, 1, device=like.device)) * length
    start = torch.rand(n, 1, device=like.device) * (length - long)
    place = torch.arange(length, device=like.device)
    return (place >= start) & (place < start + long)
