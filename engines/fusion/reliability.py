"""Reliability-gated attention: each modality votes, and a gate says how far to trust it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engines.fusion.attention import Attention
from engines.fusion.conflict import odds_of_a_liar
from engines.fusion.entry import Entered, Sizes
from engines.fusion.mask import masked, shares
from engines.fusion.modality import EachLinear, Modalities, average, by_modality
from engines.fusion.readout import make_head

TRUST_OF_1 = math.log(math.e - 1.0)  # softplus of it is 1
P_LIE = 0.05  # of each modality, before anything is known
SMALL = 0.1


class Reliability(nn.Module):
    """Logits = sum of gate * the logits of one modality + those of attention over the modalities.

    A gate is the trust in a modality times the probability that it does not lie: that of Bayes'
    rule from what all modalities hold likely of the main head, and from odds before. Trust and
    these odds read all vectors, what each modality holds likely, and what is missing; the gate of
    a missing one is 0. The weight of a slot is its modality's share of the gates, evenly over the
    modality's slots, whose order is of no effect; the attention's correction is not in it.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.judge = EachLinear(sizes.modalities, sizes.width, sizes.outputs)
        self.gate = nn.Sequential(
            nn.Linear(sizes.modalities * (sizes.width + sizes.outputs + 1), 2 * sizes.width),
            nn.ReLU(),
            nn.Linear(2 * sizes.width, 2 * sizes.modalities),
        )
        self.reader = nn.Parameter(torch.randn(1, sizes.width))
        self.attention = Attention(sizes.width)
        self.norm = nn.LayerNorm(sizes.width)
        self.head = make_head(sizes)
        self._trust_all()

    def forward(self, entered: Entered) -> tuple[Tensor, Tensor]:
        each = by_modality(entered, self.sizes.modalities)
        judged = self.judge(each.vectors)
        gates = self._gates(each, judged.detach())  # the gates must not bend the votes
        logits = average(gates, judged) + self._correction(each.vectors, each.there)
        return logits, average(shares(gates, each.there), each.slots)

    def _gates(self, each: Modalities, judged: Tensor) -> Tensor:
        likely = torch.log_softmax(judged, 2)
        seen = torch.cat([each.vectors.flatten(1), likely.flatten(1), each.there.float()], 1)
        trust, suspicion = self.gate(seen).chunk(2, 1)
        odds = suspicion + self._contradiction(each, judged) + masked(each.there)
        lies = torch.softmax(nn.functional.pad(odds, (1, 0)), 1)[:, 1:]
        gates = nn.functional.softplus(trust) * (1.0 - lies)
        return torch.where(each.there, gates, torch.zeros_like(gates))

    def _contradiction(self, each: Modalities, judged: Tensor) -> Tensor | float:
        """The odds that a modality lies, by what all hold likely of the main head's classes."""
        if self.sizes.classes is None:
            return 0.0
        # A missing one holds all equally likely: it speaks neither for nor against others.
        votes = torch.where(each.there.unsqueeze(2), judged[:, :, self.sizes.classes], 0.0)
        return odds_of_a_liar(torch.log_softmax(votes, 2))

    def _correction(self, vectors: Tensor, there: Tensor) -> Tensor:
        values = torch.cat([self.reader.expand(len(vectors), -1, -1), vectors], 1)
        mask = nn.functional.pad(masked(there), (1, 0))[:, None, None, :]
        read = self.attention(values, mask)[:, 0]
        return self.head(self.norm(read))  # type: ignore[no-any-return]

    @torch.no_grad()
    def _trust_all(self) -> None:
        """Every gate begins with trust 1, and with little suspicion."""
        last = self.gate[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(SMALL)
        trust, suspicion = last.bias.chunk(2)
        trust.fill_(TRUST_OF_1)
        suspicion.fill_(math.log(P_LIE))
