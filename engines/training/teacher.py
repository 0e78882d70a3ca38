"""Distillation: a model learns the mean answer of several (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.model import FusionModel
from engines.output import ClassifyOutput, DetectOutput
from engines.training.alone import Alone
from engines.training.rows import Rows, Tensors
from engines.training.streams import Slots

TAUGHT = (ClassifyOutput, DetectOutput)  # heads whose answers are probabilities


class Teacher:
    """Trained models, with what their modalities say alone. They are not trained any further."""

    def __init__(self, models: Sequence[FusionModel], alone: Sequence[Alone]) -> None:
        self._models, self._alone = models, alone
        for module in (*models, *alone):
            module.eval().requires_grad_(False)

    @torch.no_grad()
    def tokens(self, rows: Rows) -> list[dict[str, Tensor]]:
        """What each teacher's encoders make of the inputs."""
        return [
            {name: encoder(rows.inputs[name]) for name, encoder in model.encoders.items()}
            for model in self._models
        ]

    @torch.no_grad()
    def answers(self, slots: Sequence[Slots]) -> Tensors:
        """{head: mean probabilities} of slots with the tokens of each teacher."""
        found = [m.fusion.logits(*s)[0] for m, s in zip(self._models, slots, strict=True)]
        return self._mean(found)

    @torch.no_grad()
    def answers_alone(self, name: str, tokens: Sequence[Tensors]) -> Tensors:
        """{head: mean probabilities} of one modality alone."""
        pairs = zip(self._alone, tokens, strict=True)
        return self._mean([alone(name, made[name]) for alone, made in pairs])

    def _mean(self, outputs: Sequence[Tensor]) -> Tensors:
        first = self._models[0]
        means = {}
        for name, output in first.outputs.items():
            if isinstance(output, TAUGHT):
                part = first.slices[name]
                probabilities = [
                    model.heads[name].answer(found[:, part])  # type: ignore[operator]
                    for model, found in zip(self._models, outputs, strict=True)
                ]
                means[name] = torch.stack(probabilities).mean(0)
        return means


def taught_loss(model: FusionModel, outputs: Tensor, answers: Tensors) -> Tensor:
    """The weighted cross entropy of outputs (B, n) with the answers of a teacher."""
    total = outputs.new_zeros(())
    for name, answer in answers.items():
        part = outputs[:, model.slices[name]]
        if isinstance(model.outputs[name], ClassifyOutput):
            loss = nn.functional.cross_entropy(part, answer)
        else:
            loss = nn.functional.binary_cross_entropy_with_logits(part, answer)
        total = total + model.plan.head[name].weight * loss
    return total
