"""Whether windows are fit to learn a plan from: what is wrong is told before an hour is lost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from engines.plan import Caption, Classify, Detect, HeadPlan, Match, Model, Regress, Retrieve
from pipeline.learning.error import LearningError
from pipeline.learning.window_folder import About, Targets, Windows

FEW = 5  # windows of a class, from which nobody learns much
SHOWN = 12


def check(windows: Windows, plan: Model, abouts: Sequence[About]) -> list[str]:
    """What is to be told of the windows. Labels that are no numbers are taken out of them.

    Raises LearningError where something that the plan needs is not there.
    """
    why = losses(abouts)
    if not len(windows):
        raise LearningError("; ".join(["no window has a label and an input", *why]))
    notes = [_counts(windows, plan), *why]
    for modality in plan.encoders:
        if not windows.present(modality):
            raise LearningError(
                f"[model.{modality}]: not one of {len(windows)} windows has {modality}; "
                + ("; ".join(why) or "record the stream as jpeg or lossless, or leave it out")
            )
    for name, head in plan.head.items():
        notes += _check_head(f"[model.head.{name}]", head, windows)
    return notes


def losses(abouts: Sequence[About]) -> list[str]:
    """What was left out when the windows were cut."""
    refused: dict[str, tuple[int, str]] = {}
    for about in abouts:
        for stream, (n, why) in about.refused.items():
            refused[stream] = (refused.get(stream, (0, why))[0] + n, why)
    told = [f"{stream}: {n} samples left out: {why}" for stream, (n, why) in refused.items()]
    n_empty = sum(about.empty for about in abouts)
    told += [f"{n_empty} labelled ticks left out: no stream had anything"] if n_empty else []
    return told + list(dict.fromkeys(damage for about in abouts for damage in about.damage))


def _counts(windows: Windows, plan: Model) -> str:
    n = len(windows)
    parts = [f"{m} in {windows.present(m) / n:.0%}" for m in plan.encoders]
    return f"{n} windows: " + ", ".join(parts)


def _check_head(where: str, head: HeadPlan, windows: Windows) -> list[str]:
    if isinstance(head, Match | Retrieve):
        if not windows.complete(2):
            raise LearningError(f"{where}: no window has two modalities to relate")
        return []
    if not isinstance(head, Classify | Detect | Caption | Regress):
        return []
    counts = _labels(windows.targets(), head.labels)
    if not counts:
        raise LearningError(f"{where}: no window has a label of the set {head.labels!r}")
    if isinstance(head, Regress):
        return _check_numbers(where, head, windows)
    if len(counts) == 1 and not isinstance(head, Detect):
        raise LearningError(
            f"{where}: all {sum(counts.values())} windows say {next(iter(counts))!r}: one class"
            " alone teaches nothing; add logs of another"
        )
    return [] if isinstance(head, Caption) else _check_classes(where, head, counts)


def _labels(targets: Sequence[tuple[Targets, int]], name: str) -> Counter[str]:
    """{label: windows}; of several that hold at once the newest."""
    counts: Counter[str] = Counter()
    for said, n in targets:
        if n and (labels := said.get(name)):
            counts[labels[-1]] += n
    return counts


def _check_classes(where: str, head: Classify | Detect, counts: Mapping[str, int]) -> list[str]:
    unknown = [label for label in counts if head.classes and label not in head.classes]
    if unknown:
        raise LearningError(
            f"{where}: the windows say {unknown[0]!r} too, which `classes` does not name;"
            " add it, or leave `classes` out"
        )
    lacking = [label for label in head.classes if label not in counts]
    rare = [f"{label} ({n})" for label, n in counts.items() if n < FEW]
    shown = ", ".join(f"{label} {n}" for label, n in sorted(counts.items())[:SHOWN])
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    notes = [f"{where}: {shown}{more}"]
    notes += [f"{where}: no window of {', '.join(lacking)}"] if lacking else []
    return notes + ([f"{where}: few windows of {', '.join(rare)}"] if rare else [])


def _check_numbers(where: str, head: Regress, windows: Windows) -> list[str]:
    n_bad = windows.drop(head.labels, lambda labels: not _is_number(labels[-1]))
    counts = _labels(windows.targets(), head.labels)
    if len(counts) < 2:
        raise LearningError(f"{where}: the set {head.labels!r} has no two different numbers")
    return [f"{where}: {n_bad} windows left out: their label is no number"] if n_bad else []


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
