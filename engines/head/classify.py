"""The head that chooses one label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.example import Example
from engines.output import ClassifyOutput
from engines.plan import Classify

UNKNOWN = -1


class ClassifyHead(nn.Module):
    """A slice of logits; targets int64 (B,), UNKNOWN where an example has no label of the set."""

    temperature: Tensor

    def __init__(self, plan: Classify, output: ClassifyOutput, modalities: int) -> None:
        super().__init__()
        self.outputs, self._set = output.width, plan.labels
        self._numbers = {label: number for number, label in enumerate(output.labels)}
        self.register_buffer("temperature", torch.ones(2**modalities))

    def target(self, examples: Sequence[Example]) -> Tensor:
        """The newest label of each example."""
        held = [example.targets.get(self._set, ()) for example in examples]
        return torch.tensor([self._numbers[x[-1]] if x else UNKNOWN for x in held])

    def known(self, target: Tensor) -> Tensor:
        """Which targets are labels."""
        return target >= 0

    def loss(self, part: Tensor, target: Tensor) -> Tensor:
        """Cross entropy."""
        return nn.functional.cross_entropy(part, target, reduction="none", ignore_index=UNKNOWN)

    def answer(self, part: Tensor) -> Tensor:
        """Probabilities that sum to 1."""
        return torch.softmax(part, 1)
