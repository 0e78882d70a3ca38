"""The head that names all labels that hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.example import Example
from engines.output import DetectOutput
from engines.plan import Detect


class DetectHead(nn.Module):
    """A slice of logits; targets 0 or 1 (B, labels), NaN where an example says nothing."""

    temperature: Tensor

    def __init__(self, plan: Detect, output: DetectOutput, modalities: int) -> None:
        super().__init__()
        self.outputs, self._set, self._labels = output.width, plan.labels, output.labels
        self.register_buffer("temperature", torch.ones(2**modalities))

    def target(self, examples: Sequence[Example]) -> Tensor:
        """Which labels hold."""
        target = torch.full((len(examples), self.outputs), torch.nan)
        for row, example in zip(target, examples, strict=True):
            if held := example.targets.get(self._set):
                row[:] = torch.tensor([float(label in held) for label in self._labels])
        return target

    def known(self, target: Tensor) -> Tensor:
        """Which rows say something."""
        return ~target.isnan().any(1)

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """Binary cross entropy, the mean over the labels."""
        known = self.known(target)
        wanted = torch.where(known.unsqueeze(1), target, torch.zeros_like(target))
        losses = nn.functional.binary_cross_entropy_with_logits(part, wanted, reduction="none")
        return losses.mean(1) * known

    def answer(self, part: Tensor) -> Tensor:
        """A probability a label."""
        return torch.sigmoid(part)
