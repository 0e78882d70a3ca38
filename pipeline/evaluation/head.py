"""How well each head of a bundle did, from its outputs and what the label sets say.

The headline of a head is the one number that conditions are compared by; more is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engines.bundle import Manifest
from engines.draft import number_of
from engines.error import EngineError
from engines.output import ClassifyOutput, DetectOutput, Output, RegressOutput
from pipeline.evaluation import score
from pipeline.evaluation.panel import Row

Targets: TypeAlias = Sequence[Mapping[str, tuple[str, ...]]]
Scores: TypeAlias = dict[str, Any]
SURE = 0.5


def label_set(head: Output) -> str:
    """The label set that a head is judged by; "" if it needs none."""
    if isinstance(head, RegressOutput):
        return head.name
    return str(getattr(head, "label_set", ""))


def label_sets(manifest: Manifest) -> tuple[str, ...]:
    """The label sets that the heads of a bundle are judged by, each once."""
    sets = (label_set(head) for head in manifest.heads.values())
    return tuple(dict.fromkeys(name for name in sets if name))


def headline(head: Output, rows: Sequence[Row], targets: Targets) -> float | None:
    """Accuracy, mean average precision, or explained variance; None for other heads."""
    match head:
        case ClassifyOutput():
            truth, found = _classes(head, rows, targets)
            return float((truth == found.argmax(1)).mean()) if len(truth) else None
        case DetectOutput():
            return _detect(head, rows, targets).get("average_precision")
        case RegressOutput():
            return _regress(head, rows, targets).get("explained_variance")
    return None


def details(head: Output, rows: Sequence[Row], targets: Targets) -> Scores:
    """All scores of a head that is judged by its own output; nothing of others."""
    match head:
        case ClassifyOutput():
            return _classify(head, rows, targets)
        case DetectOutput():
            return _detect(head, rows, targets)
        case RegressOutput():
            return _regress(head, rows, targets)
    return {}


def _classes(
    head: ClassifyOutput, rows: Sequence[Row], targets: Targets
) -> tuple[npt.NDArray[np.int64], Row]:
    """True classes (n,), and probabilities (n, labels), of windows that have a known label."""
    numbers = {label: number for number, label in enumerate(head.labels)}
    pairs = [
        (numbers.get(held[-1], -1), row)
        for row, said in zip(rows, targets, strict=True)
        if (held := said.get(head.label_set))
    ]
    known = [(number, row) for number, row in pairs if number >= 0]
    truth = np.array([number for number, _ in known], np.int64)
    found = np.stack([row for _, row in known]) if known else np.zeros((0, len(numbers)))
    return truth, np.asarray(found, np.float32)


def _classify(head: ClassifyOutput, rows: Sequence[Row], targets: Targets) -> Scores:
    truth, found = _classes(head, rows, targets)
    if not len(truth):
        return {"windows": 0}
    top, sure = found.argmax(1), found.max(1)
    right = top == truth
    matrix = score.confusion(truth, top, len(head.labels))
    classes = score.by_class(matrix, head.labels)
    areas = [
        score.average_precision(found[:, number], truth == number)
        for number in range(len(head.labels))
    ]
    known = [area for area in areas if area is not None]
    return {
        "windows": len(truth),
        "accuracy": float(right.mean()),
        "majority": float(np.bincount(truth).max() / len(truth)),
        "ece": score.expected_calibration_error(sure, right),
        "average_precision": float(np.mean(known)) if known else None,
        "macro": score.macro(classes),
        "classes": classes,
        "confusion": matrix.tolist(),
        "calibration": [list(row) for row in score.calibration(sure, right)],
    }


def _detect(head: DetectOutput, rows: Sequence[Row], targets: Targets) -> Scores:
    pairs = [
        (row, [label in held for label in head.labels])
        for row, said in zip(rows, targets, strict=True)
        if (held := said.get(head.label_set))
    ]
    if not pairs:
        return {"windows": 0}
    found = np.stack([row for row, _ in pairs])
    truth = np.array([held for _, held in pairs], bool)
    sure = found >= SURE
    classes: dict[str, dict[str, float]] = {}
    areas: dict[str, float] = {}
    for number, label in enumerate(head.labels):
        matrix = score.confusion(truth[:, number].astype(int), sure[:, number].astype(int), 2)
        classes[label] = score.by_class(matrix, ("no", "yes"))["yes"]
        area = score.average_precision(found[:, number], truth[:, number])
        if area is not None:
            areas[label] = area
    confidence = np.maximum(found, 1 - found).ravel()
    right = (sure == truth).ravel()
    return {
        "windows": len(pairs),
        "accuracy": float(right.mean()),
        "exact": float((sure == truth).all(1).mean()),
        "ece": score.expected_calibration_error(confidence, right),
        "average_precision": float(np.mean(list(areas.values()))) if areas else None,
        "average_precisions": areas,
        "macro": score.macro(classes),
        "classes": classes,
        "calibration": [list(row) for row in score.calibration(confidence, right)],
    }


def _regress(head: RegressOutput, rows: Sequence[Row], targets: Targets) -> Scores:
    pairs = [
        (float(row[0]), number)
        for row, said in zip(rows, targets, strict=True)
        if (held := said.get(head.name)) and (number := _number(held[-1])) is not None
    ]
    if not pairs:
        return {"windows": 0}
    found, truth = np.array(pairs).T
    variance = float(truth.var())
    squared = float(((found - truth) ** 2).mean())
    return {
        "windows": len(pairs),
        "unit": head.unit,
        "mean_error": float(np.abs(found - truth).mean()),
        "error_of_the_mean": float(np.abs(truth - truth.mean()).mean()),
        "explained_variance": 1.0 - squared / variance if variance else None,
    }


def _number(text: str) -> float | None:
    try:
        return number_of(text)
    except EngineError:
        return None
