"""The first stage: each encoder learns alone, so that no modality leaves the work to another."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from engines.model import FusionModel
from engines.training.alone import Alone, loss_alone
from engines.training.augment import augmented
from engines.training.rows import Rows
from engines.training.spoil import Spoiler, chance


class UnimodalStage:
    """Trains the encoder of one modality with its own linear layer."""

    fuses = False

    def __init__(
        self, prefix: str, model: FusionModel, alone: Alone, name: str, rows: Rows
    ) -> None:
        self.name = f"{prefix}alone-{name}"
        self.epochs = model.plan.train.unimodal_epochs
        self.parts = nn.ModuleList([model.encoders[name], *alone.parts(name)])
        self._model, self._alone, self._modality, self._rows = model, alone, name, rows
        self._spoil = Spoiler(model.spec(name), model.plan.train.seed)

    def groups(self) -> list[dict[str, Any]]:
        """One, at the full rate."""
        return [{"params": list(self.parts.parameters()), "lr": self._model.plan.train.rate}]

    def loss(self, index: Tensor) -> Tensor:
        """That of changed inputs, of which a share is spoiled."""
        model, name = self._model, self._modality
        rows = self._rows.take(index)
        inputs = augmented(model.spec(name), rows.inputs[name], model.plan.train)
        share = model.plan.train.noise / len(model.encoders)  # as often as in the main stage
        bad = chance(len(rows), share, inputs)
        return self._loss(model.encoders[name](self._spoil(inputs, bad)), rows)

    def fold_loss(self, rows: Rows) -> Tensor:
        """That of the rows as they are."""
        encoder = self._model.encoders[self._modality]
        return self._loss(encoder(rows.inputs[self._modality]), rows)

    def _loss(self, tokens: Tensor, rows: Rows) -> Tensor:
        name = self._modality
        told = loss_alone(self._model, self._alone(name, tokens), rows, name)
        return told + self._alone.accusation_loss(name, tokens, rows)
