"""How the stages of a training are run, and what they cost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from msgspec.structs import replace
from torch import Tensor

from engines.fusion.name import DEFAULT_FUSION
from engines.plan import Model, Train
from engines.training.events import Events
from engines.training.hosts import Hosts
from engines.training.progress import Meter, Report
from engines.training.rows import Rows

# Of a step, in steps of one encoder.
COST_ALONE, COST_FUSED, COST_OF_A_TEACHER = 1.0, 4.0, 1.5


@dataclass(slots=True, kw_only=True)
class Course:
    """What all stages of a training share. `key` says what is trained on what, and `key_alone`
    the same whatever the fusion is.

    `on_epoch` is told stage, epoch and the order of the rows.
    """

    recipe: Train
    n_rows: int
    fold: Rows
    hosts: Hosts
    meter: Meter
    events: Events
    folder: Path | None
    key: str
    key_alone: str
    report: Report | None = None
    on_epoch: Callable[[str, int, Tensor], None] | None = None


def make_course(plan: Model, rows: Rows, fold: Rows, hosts: Hosts, folder: Path | None) -> Course:
    """The course of a plan."""
    return Course(
        recipe=plan.train,
        n_rows=len(rows),
        fold=fold,
        hosts=hosts,
        meter=Meter(_stages(plan, steps_an_epoch(len(rows), plan.train.batch, hosts))),
        events=Events(folder if hosts.leads else None),
        folder=folder,
        key=_key(plan, rows, hosts),
        key_alone=_key(replace(plan, fusion=DEFAULT_FUSION), rows, hosts),
    )


def steps_an_epoch(n_rows: int, batch: int, hosts: Hosts) -> int:
    """How many steps each process makes in an epoch."""
    return len(hosts.share(torch.arange(n_rows), batch))


def _stages(plan: Model, n_steps: int) -> dict[str, tuple[int, float]]:
    """{stage: (steps, cost of a step)}, in their order."""
    recipe, stages = plan.train, dict[str, tuple[int, float]]()
    for number in range(max(1, recipe.teachers)):
        prefix = f"teacher-{number}-" if recipe.teachers else ""
        if recipe.unimodal_epochs:
            for name in plan.encoders:
                stages[f"{prefix}alone-{name}"] = (n_steps * recipe.unimodal_epochs, COST_ALONE)
        if prefix:
            stages[f"{prefix}fused"] = (n_steps * recipe.epochs, COST_FUSED)
    cost = COST_FUSED + COST_OF_A_TEACHER * recipe.teachers
    return {**stages, "fused": (n_steps * recipe.epochs, cost)}


def _key(plan: Model, rows: Rows, hosts: Hosts) -> str:
    """The name of a training: its plan, its examples, and how many processes share it."""
    digest = hashlib.sha256(msgspec.json.encode(plan))
    digest.update(f"{hosts.world} {len(rows)}".encode())
    digest.update(rows.lies.cpu().numpy().tobytes())
    for table in (rows.inputs, rows.targets):
        for values in table.values():
            digest.update(values[:: max(1, len(rows) // 64)].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
