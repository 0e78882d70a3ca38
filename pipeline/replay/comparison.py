"""What a replay found: how many predictions, their hash, and where they differ from recorded."""

from __future__ import annotations

import hashlib
from typing import Any

from engines.output import Value
from pipeline.prediction import Prediction
from pipeline.replay.golden import canonical_line
from pipeline.replay.recorded_windows import same_inputs
from pipeline.replay.virtual import Step

SCORE_TOLERANCE = 1e-5
N_TOLD = 5


class Comparison:
    """Takes in the steps of a replay, one at a time, in bounded memory.

    A decision is the top label. `predictions_sha256` is the SHA-256 of all canonical lines.
    """

    def __init__(self, log_start_ns: int) -> None:
        self._log_start_ns = log_start_ns
        self._hash = hashlib.sha256()
        self.predictions = self.compared = 0
        self.inputs = self.scores = self.decisions = 0
        self.max_score = 0.0
        self.first: list[dict[str, Any]] = []
        self._n_windows = self._n_realigned = 0

    def add(self, step: Step) -> None:
        """Count a step, and compare it with what was recorded at its tick."""
        self.predictions += 1
        self._hash.update(canonical_line(step.prediction))
        self._n_windows += step.n_windows
        self._n_realigned += step.n_realigned
        if step.recorded is not None:
            self._compare(step.recorded, step.prediction)

    def _compare(self, recorded: Prediction, replayed: Prediction) -> None:
        self.compared += 1
        self.inputs += not same_inputs(recorded.inputs, replayed.inputs)
        distance = score_distance(recorded, replayed)
        self.scores += not distance <= SCORE_TOLERANCE
        self.max_score = max(self.max_score, distance)
        if recorded.top == replayed.top:
            return
        self.decisions += 1
        if len(self.first) < N_TOLD:
            self.first.append(self._told(recorded, replayed))

    def _told(self, recorded: Prediction, replayed: Prediction) -> dict[str, Any]:
        old, new = recorded.top, replayed.top
        return {
            "at_s": round((recorded.tick_ns - self._log_start_ns) / 1e9, 3),
            "old": old,
            "new": new,
            "old_scores": {s: recorded.scores[s] for s in (old, new) if s in recorded.scores},
            "new_scores": {s: replayed.scores[s] for s in (old, new) if s in replayed.scores},
        }

    def result(self) -> dict[str, Any]:
        """The counts, for --json."""
        return {
            "predictions": self.predictions,
            "predictions_sha256": self._hash.hexdigest(),
            "differences": {
                "compared": self.compared,
                "inputs": self.inputs,
                "scores": self.scores,
                "max_score": self.max_score,
                "decisions": self.decisions,
                "first": self.first,
            },
            "realigned": {
                "windows": self._n_windows,
                "differ": self._n_realigned,
                "share": self._n_realigned / self._n_windows if self._n_windows else 0.0,
            },
        }


def score_distance(one: Prediction, other: Prediction) -> float:
    """The largest difference of a number of any head; what only one of them knows counts whole.

    Another text counts 1.
    """
    return max(
        (
            _distance(one.outputs.get(head, {}), other.outputs.get(head, {}))
            for head in one.outputs.keys() | other.outputs.keys()
        ),
        default=0.0,
    )


def _distance(one: Value, other: Value) -> float:
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() | other.keys()
        return max((abs(one.get(s, 0.0) - other.get(s, 0.0)) for s in names), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max((abs(a - b) for a, b in zip(one, other, strict=True)), default=0.0)
    return float(one != other)
