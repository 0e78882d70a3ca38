"""What a trainer tells while it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Progress(NamedTuple):
    """How far a training is. Losses are of the last epoch that ended, NaN before the first.

    `stage` is what is trained, `step` of `total` counts the steps of all stages, and `left_s` is
    an estimate.
    """

    stage: str
    step: int
    total: int
    epoch: int
    loss: float
    fold_loss: float
    left_s: float

    def __str__(self) -> str:
        return (
            f"{self.stage}, epoch {self.epoch}: loss {self.loss:.4f}, fold {self.fold_loss:.4f},"
            f" step {self.step} of {self.total}, {self.left_s / 60:.1f} min left"
        )


Report: TypeAlias = Callable[[Progress], None]


class Meter:
    """Counts the steps of all stages and estimates what is left.

    Stages differ in what a step costs, so a stage's own pace counts for its own steps.
    """

    def __init__(self, stages: dict[str, tuple[int, float]]) -> None:
        """`stages` {name: (steps, cost of a step)}, in their order."""
        self._stages = stages
        self._total = sum(steps for steps, _ in stages.values())
        self._begin_s, self._worked = time.monotonic(), 0.0

    def at(self, stage: str, step: int, fresh: int) -> tuple[int, int, float]:
        """(step, total, seconds left), after `fresh` steps that were worked since the last call."""
        names = list(self._stages)
        before = names[: names.index(stage)]
        done = sum(self._stages[name][0] for name in before) + step
        self._worked += fresh * self._stages[stage][1]
        left = (self._stages[stage][0] - step) * self._stages[stage][1]
        left += sum(s * cost for s, cost in list(self._stages.values())[len(before) + 1 :])
        taken_s = time.monotonic() - self._begin_s
        return done, self._total, left * taken_s / self._worked if self._worked else 0.0
