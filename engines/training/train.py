"""Training: from examples and a plan to a model, by the stages that the plan asks for.

The recipe: each encoder learns alone; then encoders and fusion learn together, under whatever may
be missing, spoiled or stale; several such models teach one; at the end it learns how sure to be.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from engines.example import Example
from engines.model import FusionModel, draft_specs, make_model
from engines.plan import Model
from engines.training.alone import Alone
from engines.training.calibration import calibrate
from engines.training.course import Course, make_course
from engines.training.fused import FusedStage
from engines.training.hosts import Hosts, joined
from engines.training.loop import Run
from engines.training.order import split_fold
from engines.training.progress import Progress, Report
from engines.training.rival import rival_of
from engines.training.rows import Rows, stack
from engines.training.screen import screened
from engines.training.start import begin_as_product
from engines.training.teacher import Teacher
from engines.training.unimodal import UnimodalStage

log = logging.getLogger(__name__)


def silent(_: Progress) -> None:
    """Tell nobody."""


def train(
    examples: Iterable[Example], plan: Model, report: Report = silent, folder: Path | None = None
) -> FusionModel:
    """Train a new model; see `train_with_rival`."""
    return train_with_rival(examples, plan, report, folder)[0]


def train_with_rival(
    examples: Iterable[Example], plan: Model, report: Report = silent, folder: Path | None = None
) -> tuple[FusionModel, FusionModel | None]:
    """Train a new model; the same examples, plan and number of processes give the same model.

    The rival is the product of what the encoders said when each had learned alone, if they did.
    With a folder it keeps checkpoints there, and goes on from those that it finds. Examples that
    nobody can learn from are left out, and the log counts them. Raises EngineError where the
    examples say too little for a head, or a checkpoint is of something else.
    """
    sound, left_out = screened(examples, draft_specs(plan))
    for reason, n in left_out.most_common():
        log.warning("%d examples left out: %s", n, reason)
    with joined() as hosts:
        return Training(sound, plan, hosts, report, folder).finish()


class Training:
    """All stages of one training."""

    def __init__(
        self,
        examples: Sequence[Example],
        plan: Model,
        hosts: Hosts,
        report: Report = silent,
        folder: Path | None = None,
    ) -> None:
        self._examples, self._plan = examples, plan
        rows = stack(examples, self._fresh(0)[0])
        learned, held = split_fold(len(rows), plan.train.fold, plan.train.seed)
        self._rows: Rows = rows.take(learned).to(hosts.device)
        self._fold: Rows = rows.take(held).to(hosts.device)
        self.course: Course = make_course(plan, self._rows, self._fold, hosts, folder)
        self.course.report = report

    def finish(self) -> tuple[FusionModel, FusionModel | None]:
        """Run all stages; the model and its rival, on the CPU."""
        recipe, n_teachers = self._plan.train, self._plan.train.teachers
        taught: list[tuple[FusionModel, Alone]] = []
        begun: list[tuple[FusionModel, Alone]] = []
        for number in range(max(1, n_teachers)):
            prefix = f"teacher-{number}-" if n_teachers else ""
            model, alone = self._learned_alone(number, prefix)
            begun = begun or [copy.deepcopy((model, alone))]
            if n_teachers:
                self._fuse(f"{prefix}fused", model, alone, None)
                taught.append((model, alone))
        first, first_alone = begun[0]
        rival = rival_of(first, first_alone) if recipe.unimodal_epochs else None
        teacher = Teacher([m for m, _ in taught], [a for _, a in taught]) if taught else None
        self._fuse("fused", first, first_alone, teacher)
        for done in (first, rival):
            if done is not None:
                calibrate(done.to(self._fold.lies.device), self._fold)
                done.cpu().eval()
        self.course.events.close()
        return first, rival

    def _fresh(self, number: int) -> tuple[FusionModel, Alone]:
        """Random weights. Those of encoders and of `Alone` do not depend on the fusion."""
        seed = self._plan.train.seed + number
        torch.manual_seed(seed)
        model = make_model(self._plan, self._examples)
        torch.manual_seed(seed)
        return model, Alone(model)

    def _learned_alone(self, number: int, prefix: str) -> tuple[FusionModel, Alone]:
        """A model of which each encoder has learned alone, if the plan asks for it."""
        model, alone = self._fresh(number)
        device = self.course.hosts.device
        model.to(device)
        alone.to(device)
        if self._plan.train.unimodal_epochs:
            for name in model.encoders:
                stage = UnimodalStage(prefix, model, alone, name, self._rows)
                Run(stage, self.course).finish()
            begin_as_product(model, alone)
        return model, alone

    def _fuse(self, name: str, model: FusionModel, alone: Alone, teacher: Teacher | None) -> None:
        model.requires_grad_(True)
        alone.requires_grad_(True)
        Run(FusedStage(name, model, alone, self._rows, teacher), self.course).finish()
