"""Examples as tensors, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.compiled import input_spec
from engines.example import Example
from engines.model import FusionModel
from engines.output import main_head

HONEST = -1  # the number of the lying modality where none lies
# What a label may call a modality: its own name, or the kind of its streams.
MODALITY_OF = {"camera": "image", "microphone": "audio"}

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Inputs (n, ...), ages_s and present (n,) by modality; targets (n, ...) by head.

    `lies` int64 (n,) is the number of the modality that shows something else, or HONEST. `kin`
    int64 (n,) is equal for examples of one label of the main head.
    """

    inputs: Tensors
    ages_s: Tensors
    present: Tensors
    targets: Tensors
    lies: Tensor
    kin: Tensor

    def __len__(self) -> int:
        return len(self.lies)

    def take(self, index: Tensor) -> Rows:
        """Some of the rows."""
        return self._each(lambda values: values[index])

    def to(self, device: torch.device) -> Rows:
        """The rows where they are computed with."""
        return self._each(lambda values: values.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Rows:
        inputs, ages_s, present, targets = (
            {name: change(values) for name, values in table.items()}
            for table in (self.inputs, self.ages_s, self.present, self.targets)
        )
        return Rows(inputs, ages_s, present, targets, change(self.lies), change(self.kin))


def stack(examples: Sequence[Example], model: FusionModel) -> Rows:
    """Examples as tensors; a missing input becomes zeros that are not present."""
    inputs, ages_s, present = {}, {}, {}
    for name in model.encoders:
        wanted = input_spec(model.spec(name))
        rows = np.zeros((len(examples), *wanted.shape[1:]), wanted.dtype)
        for row, example in zip(rows, examples, strict=True):
            if name in example.inputs:
                row[:] = example.inputs[name][0]
        inputs[name] = torch.from_numpy(rows)
        ages_s[name] = torch.tensor([e.ages_s.get(name, 0.0) for e in examples])
        present[name] = torch.tensor([name in e.inputs for e in examples])
    targets = model.targets(examples)
    return Rows(inputs, ages_s, present, targets, _lies(examples, model), _kin(targets, model))


def _lies(examples: Sequence[Example], model: FusionModel) -> Tensor:
    """Which modality the label set of faults names."""
    numbers = {name: number for number, name in enumerate(model.encoders)}
    said = [example.targets.get(model.plan.train.faults, ("",))[-1] for example in examples]
    return torch.tensor([numbers.get(MODALITY_OF.get(word, word), HONEST) for word in said])


def _kin(targets: Tensors, model: FusionModel) -> Tensor:
    """The label of the main head; where there is none, every example is of its own kind."""
    n = len(next(iter(targets.values())))
    alone = -2 - torch.arange(n)
    found = targets.get(main_head(model.outputs))
    if found is None or found.is_floating_point() or found.dim() > 1:  # of a caption: words
        return alone
    return torch.where(found >= 0, found, alone)
