"""How far a training is: a bar with an estimate on a terminal, else a line an epoch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

MINUTE_S = 60.0


class Stand(Protocol):
    """What a trainer tells; losses are those of the last epoch that ended."""

    @property
    def stage(self) -> str: ...

    @property
    def step(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def epoch(self) -> int: ...

    @property
    def loss(self) -> float: ...

    @property
    def fold_loss(self) -> float: ...

    @property
    def left_s(self) -> float:
        """An estimate."""
        ...


@contextmanager
def training_bar(*, is_quiet: bool = False) -> Iterator[Callable[[Stand], None]]:
    """Tell it how far the training is; a quiet one tells nobody."""
    if is_quiet:
        yield lambda stand: None
        return
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=None)
        yield lambda stand: bar.update(
            task, description=_text(stand), completed=stand.step, total=stand.total
        )


class _Lines:
    def __init__(self) -> None:
        self._last = ("", 0)

    def __call__(self, stand: Stand) -> None:
        if (stand.stage, stand.epoch) != self._last:
            self._last = (stand.stage, stand.epoch)
            sys.stderr.write(_text(stand) + "\n")


def _text(stand: Stand) -> str:
    left = (
        f"{stand.left_s / MINUTE_S:.0f} min" if stand.left_s > MINUTE_S else f"{stand.left_s:.0f} s"
    )
    return (
        f"{stand.stage}, epoch {stand.epoch}: loss {stand.loss:.4f}, fold {stand.fold_loss:.4f},"
        f" {stand.step} of {stand.total} steps, {left} left"
    )
