"""The mean of the modalities with learned weights, which fade as a modality grows old."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import masked
from engines.fusion.modality import average, by_modality
from engines.fusion.readout import make_head


class Weighted(nn.Module):
    """A weight a modality, the same for all scenes, shared among those that are there.

    The weight of a slot is its share in that mean; the order of a modality's slots is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.weight = nn.Parameter(torch.zeros(sizes.modalities))
        self.fade = nn.Parameter(torch.zeros(sizes.modalities))
        self.head = make_head(sizes)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        each = by_modality(entered, self.sizes.modalities)
        strength = self.weight - self.fade * torch.log1p(each.age_s)
        weight = torch.softmax(strength + masked(each.there), 1)
        return self.head(average(weight, each.vectors)), average(weight, each.slots)
