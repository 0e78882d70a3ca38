"""The head that tells a number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.draft import number_of
from engines.example import Example
from engines.output import RegressOutput
from engines.plan import Regress


class RegressHead(nn.Module):
    """A slice of one number of mean 0 and spread 1; targets (B,) in units, NaN where unknown."""

    def __init__(self, plan: Regress, output: RegressOutput, modalities: int) -> None:
        super().__init__()
        self.outputs, self._set = output.width, plan.labels
        self._mean, self._spread = output.mean, output.spread

    def target(self, examples: Sequence[Example]) -> Tensor:
        """The newest number of each example."""
        held = [example.targets.get(self._set, ()) for example in examples]
        return torch.tensor([number_of(x[-1]) if x else torch.nan for x in held])

    def known(self, target: Tensor) -> Tensor:
        """Which targets are numbers."""
        return ~target.isnan()

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """Huber's: squared where it is near, and not carried away by an outlier."""
        known = self.known(target)
        wanted = torch.where(known, (target - self._mean) / self._spread, torch.zeros_like(target))
        return nn.functional.smooth_l1_loss(part[:, 0], wanted, reduction="none") * known

    def answer(self, part: Tensor) -> Tensor:
        """The number in its unit."""
        return part * self._spread + self._mean
