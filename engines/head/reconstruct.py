"""The head that shows a small form of what a modality saw, heard or read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from engines.example import Example
from engines.output import ReconstructOutput
from engines.plan import Reconstruct
from engines.small import small


class ReconstructHead(nn.Module):
    """A slice that is the small form; targets (B, outputs), NaN where the modality is missing.

    The target is what the example holds, also where a trainer has masked the modality: then the
    others learn to tell what it would have seen.
    """

    def __init__(self, plan: Reconstruct, output: ReconstructOutput, modalities: int) -> None:
        super().__init__()
        self.outputs, self._of = output.width, output.of

    def target(self, examples: Sequence[Example]) -> Tensor:
        """The small forms of what the examples hold."""
        rows = np.full((len(examples), self.outputs), np.nan, np.float32)
        for row, example in zip(rows, examples, strict=True):
            if self._of in example.inputs:
                row[:] = small(self._of, example.inputs[self._of])
        return torch.from_numpy(rows)

    def known(self, target: Tensor) -> Tensor:
        """Which rows have the modality."""
        return ~target.isnan().any(1)

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """The mean squared difference."""
        known = self.known(target)
        wanted = torch.where(known.unsqueeze(1), target, torch.zeros_like(target))
        return ((part - wanted) ** 2).mean(1) * known

    def answer(self, part: Tensor) -> Tensor:
        """The small form."""
        return part
