"""Attention through a bottleneck: modalities meet in a few vectors only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.attention import Attention
from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import masked
from engines.fusion.readout import Readout

LAYERS = 2  # the first fills the bottleneck, the second reads it
NARROW = 4


class Bottleneck(nn.Module):
    """After Nagrani et al. (2021): a slot reads its modality and the bottleneck, which reads all.

    Then a learned query reads the slots. The weight is the attention of that query; the order of a
    modality's slots is of no effect.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.narrow = nn.Parameter(torch.randn(NARROW, sizes.width))
        self.layers = nn.ModuleList(Attention(sizes.width) for _ in range(LAYERS))
        self.readout = Readout(sizes)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        n = len(entered.values)
        missing = masked(entered.there).unsqueeze(1)
        same = entered.modality.unsqueeze(2) == entered.modality.unsqueeze(1)
        to_slots = torch.cat([missing.expand(n, NARROW, -1), missing + masked(same)], 1)
        mask = nn.functional.pad(to_slots, (NARROW, 0)).unsqueeze(1)
        values = torch.cat([self.narrow.expand(n, -1, -1), entered.values], 1)
        for layer in self.layers:
            values = layer(values, mask)
        logits, attention = self.readout(values[:, NARROW:], entered.there)
        return logits, attention
