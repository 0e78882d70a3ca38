"""`sensorium evaluate` and `sensorium train`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from pipeline.command.answer import print_json
from pipeline.error import SensoriumError


def evaluate(arguments: argparse.Namespace, accuracy: Callable[..., dict[str, Any]]) -> int:
    """Measure `accuracy` on unseen scenes. Raises EngineError."""
    from pipeline.evaluation import table

    found = accuracy(arguments.bundle, n_scenes=arguments.scenes, seed=arguments.seed)
    if arguments.json:
        return print_json(found)
    sys.stdout.write(f"{arguments.scenes} unseen scenes\n{table(found)}\n")
    return 0


def prepare_training() -> None:
    """Let torch use all cores. Raises SensoriumError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise SensoriumError("training needs torch: pip install 'sensorium[train]'") from error
    torch.set_num_threads(os.cpu_count() or 1)
