"""The head that says whether the modalities belong together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.example import Example
from engines.output import MatchOutput
from engines.plan import Match


class MatchHead(nn.Module):
    """A slice of one logit; targets (B,): 1 together, 0 not, NaN where there is nothing to match.

    Examples are all together. A trainer makes others by giving one modality's tokens to another
    example, with the target 0; it leaves both modalities in.
    """

    temperature: Tensor

    def __init__(self, plan: Match, output: MatchOutput, modalities: int) -> None:
        super().__init__()
        self.outputs = output.width
        self.register_buffer("temperature", torch.ones(2**modalities))

    def target(self, examples: Sequence[Example]) -> Tensor:
        """1 where an example has two modalities or more."""
        return torch.tensor([1.0 if len(x.inputs) > 1 else torch.nan for x in examples])

    def known(self, target: Tensor) -> Tensor:
        """Which targets are 0 or 1."""
        return ~target.isnan()

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """Binary cross entropy."""
        wanted = target.nan_to_num(0.0)
        losses = nn.functional.binary_cross_entropy_with_logits(
            part[:, 0], wanted, reduction="none"
        )
        return losses * self.known(target)

    def answer(self, part: Tensor) -> Tensor:
        """The probability that they belong together."""
        return torch.sigmoid(part)
