"""Harmless changes of encoder inputs, so that the encoders learn what matters."""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT_PX = 8
P_LETTER = 0.04


def augmented(modality: str, inputs: Tensor) -> Tensor:
    """A changed copy of a batch of inputs of one modality."""
    change = {"image": _image, "audio": _audio, "text": _text}.get(modality, torch.clone)
    return change(inputs)


def _image(images: Tensor) -> Tensor:
    """Mirror, shift, recolour and rescale the light: uint8 (B, height, width, 3)."""
    n = len(images)
    rows, columns = (torch.randint(-SHIFT_PX, SHIFT_PX + 1, ()).item() for _ in range(2))
    moved = torch.roll(images, (int(rows), int(columns)), (1, 2)).float()
    moved = torch.where(torch.rand(n, 1, 1, 1) < 0.5, moved.flip(2), moved)
    swapped = moved[..., torch.randperm(3)]
    moved = torch.where(torch.rand(n, 1, 1, 1) < 0.3, swapped, moved)
    gain, offset = 0.75 + 0.5 * torch.rand(n, 1, 1, 3), 40.0 * (torch.rand(n, 1, 1, 1) - 0.5)
    return (moved * gain + offset).clamp(0, 255).to(torch.uint8)


def _audio(logmel: Tensor) -> Tensor:
    """Roll in time, shift the bands a little and the level a lot: float32 (B, 1, frames, mels)."""
    n = len(logmel)
    rolled = torch.roll(logmel, int(torch.randint(logmel.shape[2], ())), 2)
    bands = int(torch.randint(-2, 3, ()))
    rolled = torch.roll(rolled, bands, 3)
    return rolled + torch.randn(n, 1, 1, 1) + 0.2 * torch.randn_like(rolled)


def _text(text: Tensor) -> Tensor:
    """Swap some bytes for random letters, and forget the start: int32 (B, length)."""
    n, length = text.shape
    letters = torch.randint(ord("a") + 1, ord("z") + 2, (n, length), dtype=torch.int32)
    swap = (torch.rand(n, length) < P_LETTER * torch.rand(n, 1)) & (text > 0)
    changed = torch.where(swap, letters, text)
    cut = torch.randint(0, 12, (n, 1)) * (torch.rand(n, 1) < 0.5)
    index = torch.arange(length) + cut
    padded = torch.cat([changed, torch.zeros(n, 12, dtype=torch.int32)], 1)
    return padded.gather(1, index)
