"""How sure a model may be: a temperature for each set of present modalities, fitted on the fold."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engines.model import FusionModel
from engines.training.alone import plain_targets
from engines.training.rows import Rows
from engines.training.streams import plain_slots

FEWEST = 50  # rows with a set of modalities, from which a temperature is fitted
COOLEST, HOTTEST, GRID = 0.25, 4.0, 161


@torch.no_grad()
def calibrate(model: FusionModel, rows: Rows) -> None:
    """Set the temperatures of the heads that have one. `rows` were never learned from.

    The temperature is the one of a fine grid under which the loss is least (Guo et al. 2017). Sets
    that few rows have keep 1.
    """
    model.eval()
    tokens = {name: encoder(rows.inputs[name]) for name, encoder in model.encoders.items()}
    slots, n = plain_slots(rows, tokens), len(tokens)
    present = torch.stack([rows.present[name] for name in tokens], 1)
    for number in range(1, 2**n):
        kept = torch.tensor([bool(number >> bit & 1) for bit in range(n)], device=present.device)
        whole = present[:, kept].all(1)
        outputs, _ = model.fusion.logits(*slots.keep(kept.float().expand(len(rows), n)))
        for name, target in plain_targets(model, rows.targets).items():
            head: Any = model.heads[name]
            if hasattr(head, "temperature"):
                known = whole & head.known(target)
                if int(known.sum()) >= FEWEST:
                    part = outputs[known][:, model.slices[name]]
                    head.temperature[number] = best_temperature(head, part, target[known])


def best_temperature(head: Any, logits: Tensor, target: Tensor) -> float:
    """The temperature under which a head's loss is least."""
    temperatures = COOLEST * (HOTTEST / COOLEST) ** torch.linspace(0.0, 1.0, GRID)
    losses = torch.stack([head.loss(logits / t, target).mean() for t in temperatures])
    return float(temperatures[int(losses.argmin())])
