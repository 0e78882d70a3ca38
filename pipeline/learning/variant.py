"""A bundle's graphs in another precision, listed in its manifest once they are as right as fp32.

int8 is calibrated with half of a log's windows and judged by the other half. Only encoders become
int8: the fusion is small and decides. A graph that loses too much stays fp32, and is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from msgspec.structs import replace

from engines.bundle import Bundle, Manifest, sha256, write_manifest
from engines.compiled import CompiledBundle
from engines.error import EngineError
from engines.example import Example
from engines.options import EngineOptions
from engines.output import File
from engines.quantise import Feeds, halve, quantise
from engines.slots import Slots
from engines.variant import graph_roles
from pipeline.evaluation.head import headline
from pipeline.evaluation.panel import Row
from pipeline.learning.error import LearningError

Precision: TypeAlias = Literal["fp16", "int8"]
BACKEND = "onnxruntime"
MOST_LOST = 0.01  # of the score: a point
CALIBRATED = 200  # windows
JUDGED = 1000  # windows


class Verdict(NamedTuple):
    """Scores of fp32 and of the variant, the graphs it has, and why others stay fp32."""

    before: float
    after: float
    roles: tuple[str, ...]
    why: dict[str, str]


def make_variant(bundle: Bundle, precision: Precision, windows: Sequence[Example]) -> Verdict:
    """Write the variant into the bundle and list it. Raises LearningError if it is refused."""
    calibrating, judging = _thin(windows[::2], CALIBRATED), _thin(windows[1::2], JUDGED)
    if not judging:
        raise LearningError("a variant is judged by two labelled windows or more")
    variants = {name: own for name, own in bundle.manifest.variants.items() if name != precision}
    bundle = Bundle(bundle.folder, replace(bundle.manifest, variants=variants))
    write_manifest(bundle.folder, bundle.manifest)  # one that it had is no longer there
    made, why = _make(bundle, precision, calibrating)
    judge = _Judge(bundle, precision, judging)
    kept, after = _good_enough(judge, made, why)
    for role in made.keys() - kept.keys():
        (bundle.folder / made[role].file).unlink()
    if not kept:
        reasons = "; ".join(f"{role}: {reason}" for role, reason in why.items())
        raise LearningError(f"{precision} is refused: {reasons}")
    write_manifest(bundle.folder, _listed(bundle.manifest, precision, kept))
    return Verdict(judge.before, after, tuple(kept), why)


def _good_enough(
    judge: _Judge, made: dict[str, File], why: dict[str, str]
) -> tuple[dict[str, File], float]:
    """The graphs that together lose little, and their score; `why` is told of the others."""
    kept = dict(made)
    while kept:
        after = judge(kept)
        if after >= judge.before - MOST_LOST:
            return kept, after
        alone = {role: judge({role: file}) for role, file in kept.items()}
        worst = min(alone, key=alone.__getitem__)
        why[worst] = f"alone it takes the score from {judge.before:.4f} to {alone[worst]:.4f}"
        del kept[worst]
    return kept, 0.0


class _Judge:
    """Scores a bundle with some graphs of another precision, always on the same windows.

    That is the score of the main head; of one that has none, how alike its answers are to fp32's.
    """

    def __init__(self, bundle: Bundle, precision: Precision, examples: Sequence[Example]) -> None:
        self._bundle, self._precision, self._examples = bundle, precision, examples
        self._head = bundle.manifest.heads[bundle.manifest.main]
        self._reference = _answers(_opened(bundle, "fp32"), examples)
        self.before = self._score(self._reference)

    def __call__(self, kept: dict[str, File]) -> float:
        """The score with these graphs; the others are fp32."""
        model = _opened(_with(self._bundle, self._precision, kept), self._precision)
        return self._score(_answers(model, self._examples))

    def _score(self, rows: Sequence[Row]) -> float:
        found = headline(self._head, rows, [example.targets for example in self._examples])
        return _alike(self._reference, rows) if found is None else found


def _make(
    bundle: Bundle, precision: Precision, examples: Sequence[Example]
) -> tuple[dict[str, File], dict[str, str]]:
    """{role: its file} of the graphs that could be made, and why others could not."""
    made: dict[str, File] = {}
    why: dict[str, str] = {}
    roles = list(bundle.manifest.specs) if precision == "int8" else graph_roles(bundle.manifest)
    for role in roles:
        name = f"{role}-{precision}.onnx"
        if precision == "int8":
            quantise(bundle.path(role), bundle.folder / name, _feeds(role, examples))
        else:
            halve(bundle.path(role), bundle.folder / name)
        file = File(file=name, sha256=sha256(bundle.folder / name))
        try:
            _opened(_with(bundle, precision, {role: file}), precision).close()
        except EngineError as error:
            (bundle.folder / name).unlink()
            why[role] = str(error)
        else:
            made[role] = file
    return made, why


def _feeds(modality: str, examples: Sequence[Example]) -> Iterator[Feeds]:
    for example in examples:
        if modality in example.inputs:
            yield {modality: example.inputs[modality]}


def _alike(before: Sequence[Row], after: Sequence[Row]) -> float:
    one, other = np.stack(before), np.stack(after)
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(1) / np.maximum(sizes, 1e-12)).mean())


def _answers(model: CompiledBundle, examples: Sequence[Example]) -> list[Row]:
    """What the main head says; the model is closed then."""
    manifest = model.manifest
    slots = Slots(manifest, {modality: (modality,) for modality in manifest.specs})
    rows = []
    for example in examples:
        slots.clear()
        for modality, inputs in example.inputs.items():
            slots.put(modality, model.encode(modality, inputs), example.ages_s[modality])
        rows.append(model.fusion.run(slots.feeds())[manifest.main][0].copy())
    model.close()
    return rows


def _opened(bundle: Bundle, precision: str) -> CompiledBundle:
    return CompiledBundle(bundle, BACKEND, EngineOptions(precision=precision))


def _with(bundle: Bundle, precision: Precision, kept: dict[str, File]) -> Bundle:
    return Bundle(bundle.folder, _listed(bundle.manifest, precision, kept))


def _listed(manifest: Manifest, precision: Precision, kept: dict[str, File]) -> Manifest:
    return replace(manifest, variants={**manifest.variants, precision: kept})


def _thin(windows: Sequence[Any], n: int) -> list[Any]:
    """At most n of them, from all over."""
    return list(windows[:: max(1, -(-len(windows) // n))])
