"""Concatenation of the modalities' vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import shares
from engines.fusion.modality import EachLinear, average, by_modality


class Concat(nn.Module):
    """A network over all vectors side by side; a missing modality is its learned vector.

    Its first layer is written as a sum over modalities, which is the same. It pays no attention:
    the weight of a slot is its modality's share of the lengths that the present ones add to that
    sum, evenly over the modality's slots, whose order is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.widen = EachLinear(sizes.modalities, sizes.width, 2 * sizes.width)
        self.decide = nn.Linear(2 * sizes.width, sizes.outputs)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        each = by_modality(entered, self.sizes.modalities)
        added = self.widen(each.vectors)
        weight = shares(added.norm(dim=2), each.there)
        return self.decide(torch.relu(added.sum(1))), average(weight, each.slots)
