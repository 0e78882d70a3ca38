"""A tensor of low rank: every product of features of different modalities, in factors."""

from __future__ import annotations

from torch import Tensor, nn

from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import shares
from engines.fusion.modality import EachLinear, average, by_modality
from engines.fusion.readout import make_head

RANK = 4


class LowRank(nn.Module):
    """Low-rank multimodal fusion, Liu et al. (2018): a product of one factor a modality.

    A factor is 1 plus what a linear layer makes of the vector, which is their vector with a 1
    appended; the weights of the ranks lie in the factors. A missing modality has the factor of its
    learned vector. It pays no attention: the weight of a slot is its modality's share of the
    present factors' distances from 1, which changes nothing, evenly over the modality's slots,
    whose order is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.factor = EachLinear(sizes.modalities, sizes.width, RANK * sizes.width)
        self.norm = nn.LayerNorm(sizes.width)
        self.head = make_head(sizes)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        each = by_modality(entered, self.sizes.modalities)
        distance = self.factor(each.vectors)
        product = (1.0 + distance).prod(1)
        fused = product.reshape(-1, RANK, self.sizes.width).mean(1)
        weight = shares(distance.norm(dim=2), each.there)
        return self.head(self.norm(fused)), average(weight, each.slots)
