"""Losses between modalities: do they belong together, and are they near each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engines.model import FusionModel
from engines.output import MatchOutput, RetrieveOutput
from engines.training.rows import Rows
from engines.training.streams import Slots


def relation_loss(model: FusionModel, rows: Rows, slots: Slots) -> Tensor:
    """The weighted losses of the heads that relate modalities; 0 if there are none."""
    total = rows.lies.new_zeros((), dtype=torch.float32)
    for name, output in model.outputs.items():
        if isinstance(output, MatchOutput):
            total = total + model.plan.head[name].weight * _match_loss(model, name, rows, slots)
        elif isinstance(output, RetrieveOutput):
            total = total + model.plan.head[name].weight * _near_loss(model, name, rows, slots)
    return total


def _pair(rows: Rows) -> tuple[Tensor, Tensor]:
    """Two modalities drawn for the whole batch, and which rows have both: bool (n,)."""
    present = torch.stack(list(rows.present.values()), 1)
    two = torch.randperm(present.shape[1], device=present.device)[:2]
    return two, present[:, two].all(1)


def _match_loss(model: FusionModel, name: str, rows: Rows, slots: Slots) -> Tensor:
    """Rows as they are against rows that have one modality of another row."""
    head: Any = model.heads[name]
    target = rows.targets[name]
    two, both = _pair(rows)
    n = len(rows)
    shift = torch.randint(1, max(n, 2), (), device=target.device)
    own = (slots.modality == two[0]).float()
    other = slots._replace(
        tokens=torch.where(own.bool().unsqueeze(2), slots.tokens.roll(int(shift), 0), slots.tokens)
    )
    # A row of the same label may belong together with the other, and says nothing.
    apart = both & both.roll(int(shift), 0) & (rows.kin != rows.kin.roll(int(shift), 0))
    wrong = torch.where(apart, torch.zeros_like(target), torch.full_like(target, torch.nan))
    total = target.new_zeros(())
    for these, wanted in ((slots, target), (other, wrong)):
        outputs, _ = model.fusion.logits(*these)
        losses = head.loss(outputs[:, model.slices[name]], wanted)
        total = total + losses.sum() / head.known(wanted).sum().clamp(min=1)
    return total


def _near_loss(model: FusionModel, name: str, rows: Rows, slots: Slots) -> Tensor:
    """The embedding of one modality alone against that of another alone, of the same row."""
    head: Any = model.heads[name]
    two, both = _pair(rows)
    if len(two) < 2:
        return slots.tokens.new_zeros(())
    parts = []
    numbers = torch.arange(len(rows.inputs), device=two.device)
    for number in two:
        kept = (numbers == number).float().expand(len(rows), -1)
        outputs, _ = model.fusion.logits(*slots.keep(kept))
        parts.append(outputs[:, model.slices[name]])
    wanted = torch.where(both.unsqueeze(1), parts[1], torch.full_like(parts[1], torch.nan))
    losses = head.loss(parts[0], wanted)
    return losses.sum() / both.sum().clamp(min=1)  # type: ignore[no-any-return]
