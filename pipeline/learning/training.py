"""From windows to a bundle: checked, trained with checkpoints, exported, compared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.bundle import Encoders, load_bundle
from engines.compiled import CompiledBundle
from engines.example import Example
from engines.plan import Model
from pipeline.error import SensoriumError
from pipeline.learning.bar import training_bar
from pipeline.learning.cache import Task, fetch, processors
from pipeline.learning.error import LearningError
from pipeline.learning.fitness import check
from pipeline.learning.window_folder import Windows, read_about

CHECKPOINTS = "training"  # in the folder of the bundle
RIVAL = "product"  # another one in it
N_COMPARED = 200  # windows on which torch and ONNX Runtime must agree


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train, into which folder; `tell` shows lines to the user."""

    plan: Model
    out: Path
    made_by: str
    is_fresh: bool
    tell: Callable[[Sequence[str]], None]


def prepare() -> None:
    """Let torch use all cores, but those that somebody keeps from it. Raises SensoriumError."""
    try:
        import torch
    except ImportError as error:
        raise SensoriumError("training needs torch: pip install 'sensorium[train]'") from error
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(processors())


def leads() -> bool:
    """Whether this is the first of the processes that train together, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def encoders_of(plan: Model) -> tuple[Encoders, str]:
    """What the encoders take, and the folder of a foreign tokenizer. Raises EngineError."""
    from engines.model import draft_specs

    return draft_specs(plan), str(plan.text_folder or "")


def learn(tasks: Sequence[Task], order: Order) -> None:
    """Cut, check, train, export and compare. Raises LearningError, EngineError."""
    _check_out(order.out)
    folders = [folder for found in fetch(tasks) for folder in found]
    windows = Windows(folders)
    abouts = [about for folder in folders if (about := read_about(folder))]
    order.tell(check(windows, order.plan, abouts))
    _train(windows, order)


def _check_out(out: Path) -> None:
    """Nothing but a bundle and its training is overwritten."""
    if out.exists() and not out.is_dir():
        raise LearningError(f"{out}: is no folder: choose another with --out")
    own = (out / "bundle.json").exists() or (out / CHECKPOINTS).exists()
    if out.is_dir() and not own and next(out.iterdir(), None) is not None:
        raise LearningError(f"{out}: holds something else than a bundle: choose another with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LearningError(f"{out}: cannot be made: {error.strerror}") from error


def _train(windows: Windows, order: Order) -> None:
    from engines.export import export, parity
    from engines.training.train import train_with_rival

    checkpoints = order.out / CHECKPOINTS
    if order.is_fresh and leads():
        shutil.rmtree(checkpoints, ignore_errors=True)
    with training_bar(is_quiet=not leads()) as report:
        model, rival = train_with_rival(windows, order.plan, report, checkpoints)
    if not leads():
        return
    compared = spread(windows, N_COMPARED)
    name = order.out.resolve().name
    export(model, compared, order.out, name=name, made_by=order.made_by)
    if rival is None:
        shutil.rmtree(order.out / RIVAL, ignore_errors=True)
    else:
        export(rival, compared, order.out / RIVAL, name=f"{name}-{RIVAL}", made_by=order.made_by)
        order.tell([f"{order.out / RIVAL}: what the modalities say alone, multiplied; to compare"])
    compiled = CompiledBundle(load_bundle(str(order.out.resolve())), "onnxruntime")
    worst = parity(model, compiled, compared)
    compiled.close()
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    order.tell(
        [
            f"torch and ONNX Runtime differ by {worst:.1e} at most on {len(compared)} windows",
            f"{order.out}: {n_parameters:,} parameters; next: sensorium evaluate {order.out} LOG",
        ]
    )


def spread(windows: Windows, n: int) -> list[Example]:
    """At most n of the windows, from all over."""
    numbers = np.unique(np.linspace(0, len(windows) - 1, min(n, len(windows))).round())
    return [windows[int(number)] for number in numbers]
