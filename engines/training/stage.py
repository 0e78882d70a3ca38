"""The interface of a stage of training, which engines.training.loop runs."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engines.plan import Train
from engines.training.rows import Rows


class Stage(Protocol):
    """What is trained, and by which loss.

    `name` is that of its checkpoint. `parts` holds all that is trained; `loss` is that of a
    batch of the rows numbered by `index`, and draws from torch's random numbers; `fold_loss` is
    that of rows as they are. `fuses` is whether it depends on the fusion.
    """

    name: str
    epochs: int
    fuses: bool

    @property
    def parts(self) -> nn.Module: ...

    def groups(self) -> list[dict[str, Any]]:
        """The parameters, each group with its own `lr`, as torch.optim takes them."""
        ...

    def loss(self, index: Tensor) -> Tensor: ...

    def fold_loss(self, rows: Rows) -> Tensor: ...


def make_optimizer(
    stage: Stage, recipe: Train, n_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, and a rate that rises and falls once."""
    groups = stage.groups()
    rates = [float(group["lr"]) for group in groups]
    optimizer = torch.optim.AdamW(groups, recipe.rate, weight_decay=recipe.decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=n_steps)
    return optimizer, schedule
