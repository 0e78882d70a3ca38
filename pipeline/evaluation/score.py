"""Scores of answers against the truth: plain arrays in, plain numbers out.

Definitions are those of common use: precision, recall and F1 a class and their mean over classes
(macro); average precision as the sum of precision times the step in recall (no interpolation);
expected calibration error over equal bins of confidence (Naeini et al. 2015; Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Ints: TypeAlias = npt.NDArray[np.integer[Any]]
Bools: TypeAlias = npt.NDArray[np.bool_]
BINS = 15


def confusion(truth: Ints, found: Ints, n_classes: int) -> Ints:
    """Counts (true class, found class)."""
    pairs = np.bincount(truth * n_classes + found, minlength=n_classes * n_classes)
    return pairs.reshape(n_classes, n_classes)


def by_class(matrix: Ints, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """{label: precision, recall, f1, windows}; 0 where there is nothing to divide by."""
    right = np.diag(matrix).astype(float)
    found, true = matrix.sum(axis=0), matrix.sum(axis=1)
    precision, recall = _divided(right, found), _divided(right, true)
    f1 = _divided(2 * precision * recall, precision + recall)
    columns = zip(labels, precision, recall, f1, true, strict=True)
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "windows": int(n)}
        for label, p, r, f, n in columns
    }


def macro(classes: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean over the classes that the truth has."""
    there = [of for of in classes.values() if of["windows"]]
    return {
        key: float(np.mean([of[key] for of in there])) if there else 0.0
        for key in ("precision", "recall", "f1")
    }


def calibration(confidence: Floats, right: Bools) -> list[tuple[float, float, int]]:
    """(mean confidence, share that is right, count) of each bin that holds something."""
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    rows = []
    for number in range(BINS):
        held = bins == number
        if n := int(held.sum()):
            rows.append((float(confidence[held].mean()), float(right[held].mean()), n))
    return rows


def expected_calibration_error(confidence: Floats, right: Bools) -> float:
    """How far confidence is from being right, on average over BINS equal bins."""
    rows = calibration(confidence, right)
    total = sum(n for _, _, n in rows)
    return sum(n * abs(sure - true) for sure, true, n in rows) / total if total else 0.0


def average_precision(scores: Floats, relevant: Bools) -> float | None:
    """The area under precision over recall; None if nothing, or all, is relevant."""
    n = int(relevant.sum())
    if not 0 < n < len(relevant):
        return None
    order = np.argsort(-scores, kind="stable")
    hits = relevant[order]
    # Equal scores are one step: their order is chance.
    ends = np.r_[np.flatnonzero(np.diff(scores[order])), len(order) - 1]
    found = np.cumsum(hits)[ends]
    precision, recall = found / (ends + 1), found / n
    return float((np.diff(np.r_[0.0, recall]) * precision).sum())


def ranks(queries: Floats, keys: Floats) -> Ints:
    """Of query n, how many keys are nearer than key n, its own; ties count against it."""
    near = queries @ keys.T
    own = np.diag(near)[:, None]
    return np.asarray((near >= own).sum(axis=1) - 1)


def _divided(a: Floats, b: npt.NDArray[Any]) -> Floats:
    return np.asarray(np.divide(a, b, out=np.zeros_like(a, dtype=float), where=b > 0))
