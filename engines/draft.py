"""From a plan and examples to what its heads will say: labels, vocabularies, means.

Torch-free and quick, so that data that cannot be learned from are refused before an hour is lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, pstdev

from engines.error import EngineError
from engines.example import Example
from engines.output import (
    CaptionOutput,
    ClassifyOutput,
    DetectOutput,
    MatchOutput,
    Output,
    ReconstructOutput,
    RegressOutput,
    RetrieveOutput,
)
from engines.plan import (
    Caption,
    Classify,
    Detect,
    HeadPlan,
    Match,
    Model,
    Reconstruct,
    Regress,
    Retrieve,
)
from engines.small import small_shape

MAX_VOCABULARY = 4000


def draft_outputs(plan: Model, examples: Sequence[Example]) -> dict[str, Output]:
    """{head: what it will say}. Raises EngineError where the examples do not say enough."""
    return {name: _draft(name, head, plan, examples) for name, head in plan.head.items()}


def words_of(caption: str) -> list[str]:
    """The words of a caption, as its vocabulary has them."""
    return caption.lower().split()


def number_of(text: str) -> float:
    """The number that a label is. Raises EngineError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise EngineError(f"label {text!r}: it is no number to learn; check the label set")
    return value


def _draft(name: str, head: HeadPlan, plan: Model, examples: Sequence[Example]) -> Output:
    match head:
        case Classify():
            newest = (held[-1] for held in _targets(examples, head.labels))
            return ClassifyOutput(labels=_classes(name, head, newest), label_set=head.labels)
        case Detect():
            every = (label for held in _targets(examples, head.labels) for label in held)
            return DetectOutput(labels=_classes(name, head, every), label_set=head.labels)
        case Caption():
            return _caption(name, head, examples)
        case Regress():
            return _regress(name, head, examples)
        case Reconstruct():
            spec = plan.encoders[head.of].spec(1)
            return ReconstructOutput(of=head.of, shape=small_shape(head.of, spec))
        case Retrieve():
            return RetrieveOutput(size=head.size)
        case Match():
            return MatchOutput()


def _targets(examples: Iterable[Example], label_set: str) -> Iterator[tuple[str, ...]]:
    return (x.targets[label_set] for x in examples if x.targets.get(label_set))


def _classes(name: str, head: Classify | Detect, found: Iterable[str]) -> tuple[str, ...]:
    seen = set(found)
    classes = head.classes or tuple(sorted(seen))
    at = f"head {name}: label set {head.labels!r}"
    if unknown := seen - set(classes):
        raise EngineError(
            f"{at} has {sorted(unknown)[0]!r}, which is none of: {', '.join(classes)}"
        )
    if not seen:
        raise EngineError(f"{at} is in no example; label the logs or choose another set")
    if len(seen) == 1:
        raise EngineError(f"{at} has one label only, {seen.pop()!r}: nothing to tell apart")
    return classes


def _caption(name: str, head: Caption, examples: Sequence[Example]) -> CaptionOutput:
    counts = Counter(w for held in _targets(examples, head.labels) for w in words_of(held[-1]))
    if not counts:
        raise EngineError(f"head {name}: no example has a caption in label set {head.labels!r}")
    often = sorted(counts, key=lambda word: (-counts[word], word))[:MAX_VOCABULARY]
    return CaptionOutput(
        file=f"{name}.onnx",
        sha256="",
        vocabulary=tuple(often),
        length=head.words,
        size=head.size,
        label_set=head.labels,
    )


def _regress(name: str, head: Regress, examples: Sequence[Example]) -> RegressOutput:
    values = [number_of(held[-1]) for held in _targets(examples, head.labels)]
    if not values:
        raise EngineError(f"head {name}: no example has a number in label set {head.labels!r}")
    spread = pstdev(values) or 1.0
    return RegressOutput(name=head.labels, unit=head.unit, mean=fmean(values), spread=spread)
