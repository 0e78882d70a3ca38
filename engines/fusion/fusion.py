"""The fusion of the tokens of all streams, by any of ten methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from engines.fusion.bottleneck import Bottleneck
from engines.fusion.concat import Concat
from engines.fusion.cross_modal import CrossModal
from engines.fusion.entry import Entry, Sizes
from engines.fusion.gated import Gated
from engines.fusion.lowrank import LowRank
from engines.fusion.mean import Mean
from engines.fusion.name import FusionName
from engines.fusion.product import Product
from engines.fusion.reliability import Reliability
from engines.fusion.self_attention import SelfAttention
from engines.fusion.weighted import Weighted

METHODS: Mapping[FusionName, Callable[[Sizes], nn.Module]] = {
    "mean": Mean,
    "product": Product,
    "weighted": Weighted,
    "concat": Concat,
    "gated": Gated,
    "lowrank": LowRank,
    "self_attention": SelfAttention,
    "cross_modal": CrossModal,
    "bottleneck": Bottleneck,
    "reliability": Reliability,
}


class Fusion(nn.Module):
    """Tokens to logits (B, outputs) and to the weight of each slot (B, N); the weights sum to 1.

    Takes tokens (B, N, D), modality int (1 or B, N), age in seconds (B, N), present 0 or 1 (B, N).
    What stands in a slot that is not present, be it NaN, has no effect; its weight is 0, unless
    everything is missing. A method takes an Entered and returns logits and weights. The heads know
    what the logits mean: each has a slice of them.
    """

    def __init__(self, name: FusionName, sizes: Sizes) -> None:
        super().__init__()
        self.name = name
        self.entry = Entry(sizes)
        self.method = METHODS[name](sizes)

    def forward(
        self, tokens: Tensor, modality: Tensor, age: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.logits(tokens, modality, age, present)

    def logits(
        self, tokens: Tensor, modality: Tensor, age: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same by name."""
        logits, weight = self.method(self.entry(tokens, modality, age, present))
        return logits, weight
