"""Reliability-gated attention: each modality votes, and a gate says how far to trust it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.fusion.attention import Attention
from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import masked, shares
from engines.fusion.modality import EachLinear, average, by_modality
from engines.fusion.readout import make_head


class Reliability(nn.Module):
    """Logits = sum of gate * the logits of one modality + those of attention over the modalities.

    The gates read all vectors, what each modality holds likely, and what is missing; the gate of a
    missing one is 0. The weight of a slot is its modality's share of the gates, evenly over the
    modality's slots, whose order is of no effect; the attention's correction is not in it.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.judge = EachLinear(sizes.modalities, sizes.width, sizes.outputs)
        self.trust = nn.Sequential(
            nn.Linear(sizes.modalities * (sizes.width + sizes.outputs + 1), 2 * sizes.width),
            nn.ReLU(),
            nn.Linear(2 * sizes.width, sizes.modalities),
        )
        self.reader = nn.Parameter(torch.randn(1, sizes.width))
        self.attention = Attention(sizes.width)
        self.norm = nn.LayerNorm(sizes.width)
        self.head = make_head(sizes)

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        each = by_modality(entered, self.sizes.modalities)
        judged = self.judge(each.vectors)
        likely = torch.log_softmax(judged.detach(), 2)  # the gates must not bend the votes
        seen = torch.cat([each.vectors.flatten(1), likely.flatten(1), each.there.float()], 1)
        trusted = nn.functional.softplus(self.trust(seen))
        gates = torch.where(each.there, trusted, torch.zeros_like(trusted))
        logits = average(gates, judged) + self._correction(each.vectors, each.there)
        return logits, average(shares(gates, each.there), each.slots)

    def _correction(self, vectors: Tensor, there: Tensor) -> Tensor:
        values = torch.cat([self.reader.expand(len(vectors), -1, -1), vectors], 1)
        mask = nn.functional.pad(masked(there), (1, 0))[:, None, None, :]
        read = self.attention(values, mask)[:, 0]
        return self.head(self.norm(read))  # type: ignore[no-any-return]
