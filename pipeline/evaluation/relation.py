"""Scores of heads that relate: what belongs together, what is near, what is rebuilt, what is said.

They need more than one answer a window: those to another's part, or to one modality alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from engines.compiled import CompiledBundle
from engines.output import CaptionOutput, MatchOutput, ReconstructOutput, RetrieveOutput
from pipeline.evaluation import score
from pipeline.evaluation.caption_score import caption_scores, key_word_recall
from pipeline.evaluation.condition import ALL, Condition, Findings
from pipeline.evaluation.head import Scores

SOUGHT = 500  # windows among which each is sought
AT = (1, 5, 10)
SHOWN = 8  # captions
SURE = 0.5


def relations(model: CompiledBundle, found: Findings, modalities: Sequence[str]) -> dict[str, Any]:
    """{head: its scores} of the heads that relate."""
    made: dict[str, Scores] = {}
    for name, head in model.manifest.heads.items():
        match head:
            case MatchOutput():
                made[name] = _match(name, found)
            case RetrieveOutput():
                made[name] = _retrieve(name, found, modalities)
            case CaptionOutput():
                made[name] = _caption(model, name, head, found)
            case ReconstructOutput():
                made[name] = rebuilt(name, head, found)
    return made


def _match(name: str, found: Findings) -> Scores:
    """Windows as they are against windows with a part of another."""
    numbers = found.numbers[Condition("shuffled")]
    if not numbers:
        return {"windows": 0}
    together = np.array([found.rows[ALL][name][n][0] for n in numbers])
    apart = np.array([row[0] for row in found.rows[Condition("shuffled")][name]])
    scores = np.r_[together, apart]
    truth = np.r_[np.ones(len(together), bool), np.zeros(len(apart), bool)]
    sure = scores >= SURE
    matrix = score.confusion(truth.astype(int), sure.astype(int), 2)
    return {
        "windows": len(scores),
        "accuracy": float((sure == truth).mean()),
        "average_precision": score.average_precision(scores, truth),
        "ece": score.expected_calibration_error(np.maximum(scores, 1 - scores), sure == truth),
        **score.by_class(matrix, ("apart", "together"))["together"],
    }


def _retrieve(name: str, found: Findings, modalities: Sequence[str]) -> Scores:
    """From one modality alone to the same window by another: among SOUGHT windows at most."""
    alone: Mapping[str, Condition] = {
        modality: Condition("missing", tuple(m for m in modalities if m != modality))
        for modality in modalities
    }
    n = len(found.targets)
    taken = np.unique(np.linspace(0, n - 1, min(n, SOUGHT)).round().astype(int))
    pairs: dict[str, dict[str, float]] = {}
    for one, other in permutations(modalities, 2):
        queries, keys = (
            np.stack(found.rows[alone[m]][name])[taken].astype(np.float32) for m in (one, other)
        )
        rank = score.ranks(queries, keys)
        pairs[f"{one} to {other}"] = {
            **{f"recall@{k}": float((rank < k).mean()) for k in AT},
            "median_rank": float(np.median(rank) + 1),
        }
    means = {
        f"recall@{k}": float(np.mean([pair[f"recall@{k}"] for pair in pairs.values()]))
        for k in AT
        if pairs
    }
    return {"windows": len(taken), "chance": 1 / max(1, len(taken)), **means, "pairs": pairs}


def _caption(model: CompiledBundle, name: str, head: CaptionOutput, found: Findings) -> Scores:
    """The whole caption of each window against the one that was written.

    `common` is the share of key words that the most frequent caption has, whatever is to be seen.
    """
    speaker = model.speaker(name)

    def told(condition: Condition) -> list[tuple[str, str]]:
        return [
            (speaker.whole(row[None]), held[-1])
            for row, n in zip(found.rows[condition][name], found.numbers[condition], strict=True)
            if (held := found.targets[n].get(head.label_set))
        ]

    pairs = told(ALL)
    if not pairs:
        return {"windows": 0}
    truth = [said for _, said in pairs]
    often = Counter(truth).most_common(1)[0][0]
    step = max(1, len(pairs) // SHOWN)
    return {
        "windows": len(pairs),
        **caption_scores([text for text, _ in pairs], truth),
        "common": key_word_recall([often] * len(truth), truth),
        "missing": {
            "+".join(condition.modalities): key_word_recall(*zip(*told(condition), strict=True))
            for condition in list(found.rows)
            if condition.kind == "missing"
        },
        "shown": [list(pair) for pair in pairs[::step][:SHOWN]],
    }


def rebuilt(name: str, head: ReconstructOutput, found: Findings) -> Scores:
    """The small form against what was there; `imagined` is that of a modality that was hidden."""

    def explained(condition: Condition) -> float | None:
        pairs = [
            (row, found.small[n][head.of])
            for row, n in zip(found.rows[condition][name], found.numbers[condition], strict=True)
            if head.of in found.small[n]
        ]
        if not pairs:
            return None
        made, truth = (np.stack(rows) for rows in zip(*pairs, strict=True))
        variance = float(((truth - truth.mean(0)) ** 2).mean())
        return 1.0 - float(((made - truth) ** 2).mean()) / variance if variance else None

    return {
        "windows": sum(head.of in small for small in found.small),
        "explained_variance": explained(ALL),
        "imagined": explained(Condition("missing", (head.of,))),
    }
