"""What each modality says alone: a linear layer a modality, to all outputs of the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.model import FusionModel
from engines.output import MatchOutput, RetrieveOutput
from engines.training.rows import HONEST, Rows, Tensors

RELATIONS = (MatchOutput, RetrieveOutput)  # nothing that one modality could answer


class Alone(nn.Module):
    """Tokens (B, T, D) of a modality to outputs (B, n), by the mean token; and, where labels name
    the modality that lies, to whom it accuses: (B, 1 + M), the first of them nobody."""

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        n = sum(output.width for output in model.outputs.values())
        names, m = list(model.encoders), 1 + len(model.encoders)
        self.layers = nn.ModuleDict({name: nn.Linear(model.width, n) for name in names})
        accusers = names if model.plan.train.faults else []
        self.accusers = nn.ModuleDict({name: nn.Linear(model.width, m) for name in accusers})

    def forward(self, name: str, tokens: Tensor) -> Tensor:
        outputs: Tensor = self.layers[name](tokens.mean(1))
        return outputs

    def parts(self, name: str) -> list[nn.Module]:
        """The layers of one modality."""
        return [table[name] for table in (self.layers, self.accusers) if name in table]

    def accusation_loss(self, name: str, tokens: Tensor, rows: Rows) -> Tensor:
        """The cross entropy of whom a modality accuses with who lies; 0 without such labels.

        Where the label set of faults names nobody, nobody lies.
        """
        there = rows.present[name]
        if name not in self.accusers or not bool(there.any()):
            return tokens.new_zeros(())
        accused: Tensor = self.accusers[name](tokens.mean(1)[there])
        return nn.functional.cross_entropy(accused, rows.lies[there] - HONEST)


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
