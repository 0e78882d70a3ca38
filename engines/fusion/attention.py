"""Attention by hand, with a finite mask: every key masked gives finite values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HEADS = 4


class Attention(nn.Module):
    """A pre-norm transformer layer over the slots; `mask` is added to scores (B, heads, N, N)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.norm_after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, slots: Tensor, mask: Tensor) -> Tensor:
        batch, n, width = slots.shape
        parts = self.qkv(self.norm(slots)).reshape(batch, n, 3, HEADS, width // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(2, 3) * (width // HEADS) ** -0.5 + mask
        mixed = (torch.softmax(scores, 3) @ value).transpose(1, 2).reshape(batch, n, width)
        slots = slots + self.mix(mixed)
        return slots + self.think(self.norm_after(slots))  # type: ignore[no-any-return]
