"""Gates that read all modalities, and let more or less of each through."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import masked
from engines.fusion.modality import EachLinear, average, by_modality
from engines.fusion.readout import make_head


class Gated(nn.Module):
    """The gated multimodal unit of Arevalo et al. (2017), for any number of modalities.

    For each of the D features the gates of the present modalities sum to 1. The weight of a slot is
    its modality's mean gate, evenly over the modality's slots, whose order is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.turn = EachLinear(sizes.modalities, sizes.width, sizes.width)
        self.gate = nn.Linear(sizes.modalities * sizes.width, sizes.modalities * sizes.width)
        self.head = make_head(sizes)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        each = by_modality(entered, self.sizes.modalities)
        opened = self.gate(each.vectors.flatten(1)).reshape(each.vectors.shape)
        gates = torch.softmax(opened + masked(each.there).unsqueeze(2), 1)
        fused = (gates * torch.tanh(self.turn(each.vectors))).sum(1)
        return self.head(fused), average(gates.mean(2), each.slots)
