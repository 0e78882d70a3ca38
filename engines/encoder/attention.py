"""Attention by hand, with a finite mask: what TensorRT 10.3 parses, and never a NaN."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention over a sequence (B, L, D); `mask` is added to scores (B, 1, L, L)."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        batch, length, width = states.shape
        parts = self.qkv(states).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5 + mask
        mixed = (torch.softmax(scores, 3) @ value).transpose(1, 2).reshape(batch, length, width)
        return self.mix(mixed)  # type: ignore[no-any-return]
