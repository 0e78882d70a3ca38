"""Cross-modal attention: the tokens of a modality ask those of the others."""

from __future__ import annotations

from torch import Tensor, nn

from engines.fusion.attention import Attention
from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import MASKED, masked
from engines.fusion.readout import Readout

LAYERS = 2


class CrossModal(nn.Module):
    """Every slot reads the present slots of other modalities, then a learned query reads the slots.

    A modality that is alone reads its own. One layer serves all pairs of modalities, which the
    kinds of the tokens tell apart. The weight is the attention of that query; the order of a
    modality's slots is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Attention(sizes.width) for _ in range(LAYERS))
        self.readout = Readout(sizes)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        same = entered.modality.unsqueeze(2) == entered.modality.unsqueeze(1)
        # Another modality before its own, its own before a missing one.
        mask = MASKED * same.float() + 2.0 * masked(entered.there).unsqueeze(1)
        slots = entered.values
        for layer in self.layers:
            slots = layer(slots, mask.unsqueeze(1))
        logits, attention = self.readout(slots, entered.there)
        return logits, attention
