"""Whether two backends decide alike on a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from engines.output import Value
from pipeline.config import Config
from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from pipeline.replay.part import Choice, Part, ReplayError
from pipeline.replay.virtual import VirtualReplay

REFERENCE = "onnxruntime"
LEAST_AGREEMENT = 0.99


class Agreement:
    """Counts, for each head, how often two backends say the same, and how far apart they are."""

    def __init__(self) -> None:
        self.n_predictions = 0
        self._n_alike: dict[str, int] = {}
        self._apart: dict[str, float] = {}

    def add(self, reference: Prediction, other: Prediction) -> None:
        """Take in what both say of the same tick."""
        self.n_predictions += 1
        for head, value in reference.outputs.items():
            alike, apart = _compare(value, other.outputs[head])
            self._n_alike[head] = self._n_alike.get(head, 0) + alike
            self._apart[head] = max(self._apart.get(head, 0.0), apart)

    def result(self) -> dict[str, Any]:
        """For each head the share of ticks in which the decision is the same, and the largest
        difference of a number; `passed` where all heads agree often enough."""
        total = max(1, self.n_predictions)
        heads = {
            head: {"agreement": n / total, "largest_difference": self._apart[head]}
            for head, n in self._n_alike.items()
        }
        return {
            "predictions": self.n_predictions,
            "heads": heads,
            "least_agreement": LEAST_AGREEMENT,
            "passed": all(found["agreement"] >= LEAST_AGREEMENT for found in heads.values()),
        }


def agreement(path: Path, config: Config) -> dict[str, Any]:
    """Replay a log on the backend of a configuration and on the reference, from the same windows.

    Raises ConfigError, EngineError, ReplayError.
    """
    bundle, fusion = load_bundle(config.fusion.bundle), config.fusion
    asked = CompiledBundle(bundle, fusion.backend, fusion.options)
    reference = CompiledBundle(bundle, REFERENCE)
    counts = Agreement()
    with LogReader(path) as first, LogReader(path) as second:  # both are read at once
        one = VirtualReplay(config, reference, Part(first, Choice()))
        other = VirtualReplay(config, asked, Part(second, Choice()))
        for here, there in zip(one.run(), other.run(), strict=True):
            counts.add(here.prediction, there.prediction)
    if not counts.n_predictions:
        raise ReplayError("the log is too short: no tick lies in it")
    for model in (asked, reference):
        model.close()
    return counts.result() | {"backend": fusion.backend, "reference": REFERENCE}


def _compare(reference: Value, other: Value) -> tuple[bool, float]:
    """Whether the decision is the same, and the largest difference of a number.

    A list is an embedding or a form: it is the same if its direction is, by its cosine.
    """
    if isinstance(reference, dict) and isinstance(other, dict):
        apart = max((abs(p - other.get(name, 0.0)) for name, p in reference.items()), default=0.0)
        return _top(reference) == _top(other), apart
    if isinstance(reference, list) and isinstance(other, list):
        a, b = np.asarray(reference), np.asarray(other)
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) >= LEAST_AGREEMENT * lengths, float(np.abs(a - b).max(initial=0.0))
    return reference == other, 0.0


def _top(values: dict[str, float]) -> str:
    return max(values, key=values.__getitem__, default="")
