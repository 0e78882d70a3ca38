"""What each modality says alone: a linear layer a modality, to all outputs of the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.model import FusionModel
from engines.output import MatchOutput, RetrieveOutput
from engines.training.rows import Rows, Tensors

RELATIONS = (MatchOutput, RetrieveOutput)  # nothing that one modality could answer


class Alone(nn.Module):
    """Tokens (B, T, D) of a modality to outputs (B, n), by the mean token."""

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        n = sum(output.width for output in model.outputs.values())
        self.layers = nn.ModuleDict({name: nn.Linear(model.width, n) for name in model.encoders})

    def forward(self, name: str, tokens: Tensor) -> Tensor:
        outputs: Tensor = self.layers[name](tokens.mean(1))
        return outputs


def plain_targets(model: FusionModel, targets: Tensors) -> dict[str, Tensor]:
    """The targets of the heads that a set of modalities of any size can answer."""
    outputs = model.outputs
    return {n: target for n, target in targets.items() if not isinstance(outputs[n], RELATIONS)}


def honest(rows: Rows, name: str) -> Tensor:
    """The numbers of the rows that have a modality which shows what the targets say."""
    number = list(rows.inputs).index(name)
    return torch.nonzero(rows.present[name] & (rows.lies != number)).flatten()


def loss_alone(model: FusionModel, outputs: Tensor, rows: Rows, name: str) -> Tensor:
    """The loss of what one modality says (B, n), where it is there and does not lie."""
    known = honest(rows, name)
    targets = plain_targets(model, rows.targets)
    return model.loss(outputs[known], {head: target[known] for head, target in targets.items()})
