"""From vectors to logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.entry import Sizes
from engines.fusion.mask import masked
from engines.fusion.modality import average


def make_head(sizes: Sizes) -> nn.Sequential:
    """(B, D) to logits (B, outputs)."""
    return nn.Sequential(
        nn.Linear(sizes.width, 2 * sizes.width),
        nn.ReLU(),
        nn.Linear(2 * sizes.width, sizes.outputs),
    )


class Readout(nn.Module):
    """Slots (B, N, D) to logits and to the attention (B, N) that a learned query pays to them."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.width)
        self.query = nn.Linear(sizes.width, 1, bias=False)
        self.head = make_head(sizes)

    def forward(self, slots: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        slots = self.norm(slots)
        attention = torch.softmax(self.query(slots).squeeze(2) + masked(there), 1)
        return self.head(average(attention, slots)), attention
