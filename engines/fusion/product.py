"""The product of what each modality holds likely: the rival that every fusion must beat."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import masked
from engines.fusion.modality import EachLinear, average, by_modality


class Product(nn.Module):
    """Logits = the sum of the logits of each present modality alone, by a linear layer.

    It is best where modalities are independent given the label and none lies. If all are missing,
    their learned vectors vote. The weight of a slot is its modality's even share; the order of a
    modality's slots is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.judge = EachLinear(sizes.modalities, sizes.width, sizes.outputs)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        each = by_modality(entered, self.sizes.modalities)
        judged = self.judge(each.vectors)
        counts = each.there | (each.there.float().amax(1, keepdim=True) < 0.5)
        votes = torch.where(counts.unsqueeze(2), judged, torch.zeros_like(judged))
        weight = torch.softmax(masked(each.there), 1)
        return votes.sum(1), average(weight, each.slots)
