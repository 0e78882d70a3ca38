"""Self-attention over all tokens; the fusion of the bundle "home"."""

from __future__ import annotations

from torch import Tensor, nn

from engines.fusion.attention import Attention
from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import masked
from engines.fusion.readout import Readout

LAYERS = 2


class SelfAttention(nn.Module):
    """Every slot reads all that are there, then a learned query reads the slots.

    The weight is the attention of that query; the order of a modality's slots is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Attention(sizes.width) for _ in range(LAYERS))
        self.readout = Readout(sizes)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        slots, mask = entered.values, masked(entered.there)[:, None, None, :]
        for layer in self.layers:
            slots = layer(slots, mask)
        logits, attention = self.readout(slots, entered.there)
        return logits, attention
