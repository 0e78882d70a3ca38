"""The main stage: encoders and fusion learn together, under whatever may be missing.

Inputs are encoded once and fused under the full and two random sets of modalities; each modality
answers alone, too; one modality of a share of the examples is spoiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from engines.model import FusionModel
from engines.training.alone import Alone, loss_alone, plain_targets
from engines.training.augment import augmented
from engines.training.exchange import Exchange
from engines.training.relation import relation_loss
from engines.training.rows import Rows, Tensors
from engines.training.spoil import Spoiler
from engines.training.streams import Streams, draw_streams, drawn_slots, plain_slots
from engines.training.teacher import Teacher, taught_loss

SETS = 2  # random sets of modalities, each with half the weight of the full one
SET_WEIGHT = 0.5


class FusedStage:
    """Trains a whole model, with the linear layers of `alone` beside it."""

    fuses = True

    def __init__(
        self, name: str, model: FusionModel, alone: Alone, rows: Rows, teacher: Teacher | None
    ) -> None:
        recipe = model.plan.train
        self.name, self.epochs = name, recipe.epochs
        self.parts = nn.ModuleList([model, alone])
        self._model, self._alone, self._teacher = model, alone, teacher
        self._drawn = Exchange(rows, recipe.exchange)
        self._spoil = {m: Spoiler(model.spec(m), recipe.seed) for m in model.encoders}
        self._streams = [model.spec(m).max_streams for m in model.encoders]

    def groups(self) -> list[dict[str, Any]]:
        """Encoders that have learned already go on at a smaller rate."""
        recipe, encoders = self._model.plan.train, list(self._model.encoders.parameters())
        known = {id(parameter) for parameter in encoders}
        others = [p for p in self.parts.parameters() if id(p) not in known]
        share = recipe.encoder_rate if recipe.unimodal_epochs else 1.0
        return [
            {"params": encoders, "lr": recipe.rate * share},
            {"params": others, "lr": recipe.rate},
        ]

    def loss(self, index: Tensor) -> Tensor:
        """The sum of the losses of all sets, of each modality alone, and of relations."""
        model, recipe = self._model, self._model.plan.train
        rows = self._changed(self._drawn.take(index))
        tokens = {name: encoder(rows.inputs[name]) for name, encoder in model.encoders.items()}
        streams = draw_streams(rows, self._streams, recipe.stale)
        slots = drawn_slots(streams, tokens)
        taught = _Taught(self._teacher, rows, streams) if self._teacher else None
        total = relation_loss(model, rows, slots)
        for number in range(1 + SETS):
            fate = torch.rand(len(rows), len(tokens), device=rows.lies.device)
            kept = torch.ones_like(fate) if not number else (fate >= recipe.drop).float()
            outputs, _ = model.fusion.logits(*slots.keep(kept))
            loss = self._blend(
                model.loss(outputs, plain_targets(model, rows.targets)), outputs, taught, kept
            )
            total = total + (SET_WEIGHT if number else 1.0) * loss
        return total + recipe.alone * self._alone_loss(rows, tokens, taught) / len(tokens)

    def fold_loss(self, rows: Rows) -> Tensor:
        """That of all modalities, and of all but each one."""
        model = self._model
        tokens = {name: encoder(rows.inputs[name]) for name, encoder in model.encoders.items()}
        slots, n = plain_slots(rows, tokens), len(tokens)
        targets = plain_targets(model, rows.targets)
        total = relation_loss(model, rows, slots)
        for without in range(-1, n if n > 1 else 0):
            kept = torch.arange(n, device=rows.lies.device) != without
            outputs, _ = model.fusion.logits(*slots.keep(kept.float().expand(len(rows), n)))
            total = total + model.loss(outputs, targets) * (1.0 if without < 0 else 1.0 / n)
        return total

    def _changed(self, rows: Rows) -> Rows:
        """The rows with their inputs changed, and one modality of a share of them spoiled."""
        model, recipe = self._model, self._model.plan.train
        n, n_modalities, device = len(rows), len(rows.inputs), rows.lies.device
        hit = torch.rand(n, device=device) < recipe.noise
        which = torch.where(hit, torch.randint(n_modalities, (n,), device=device), -1)
        inputs = {
            name: self._spoil[name](augmented(model.spec(name), x, recipe), which == number)
            for number, (name, x) in enumerate(rows.inputs.items())
        }
        return replace(rows, inputs=inputs)

    def _blend(self, loss: Tensor, outputs: Tensor, taught: _Taught | None, kept: Tensor) -> Tensor:
        if taught is None:
            return loss
        share = self._model.plan.train.distil
        soft = taught_loss(self._model, outputs, taught.answers(kept))
        return (1.0 - share) * loss + share * soft

    def _alone_loss(self, rows: Rows, tokens: Tensors, taught: _Taught | None) -> Tensor:
        model, share = self._model, self._model.plan.train.distil
        total = rows.lies.new_zeros((), dtype=torch.float32)
        for name, made in tokens.items():
            outputs = self._alone(name, made)
            loss = loss_alone(model, outputs, rows, name)
            if taught is not None:
                soft = taught_loss(model, outputs, taught.answers_alone(name))
                loss = (1.0 - share) * loss + share * soft
            total = total + loss + self._alone.accusation_loss(name, made, rows)
        return total


class _Taught:
    """The teacher's answers for one batch: the same inputs, streams and sets as the pupil has."""

    def __init__(self, teacher: Teacher, rows: Rows, streams: Mapping[str, Streams]) -> None:
        self._teacher, self._tokens = teacher, teacher.tokens(rows)
        self._slots = [drawn_slots(streams, tokens) for tokens in self._tokens]

    def answers(self, kept: Tensor) -> Tensors:
        return self._teacher.answers([slots.keep(kept) for slots in self._slots])

    def answers_alone(self, name: str) -> Tensors:
        return self._teacher.answers_alone(name, self._tokens)
