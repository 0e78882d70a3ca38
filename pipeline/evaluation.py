"""How right a bundle is: with everything present, with one modality alone, missing, or noise.

Samples go through the real preprocessing and the real node; the label reaches only the score.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from engines.compiled import CompiledBundle
from pipeline.config import MODALITY, Config, kind_of
from pipeline.node import FusionNode
from pipeline.sample import LabelledSamples, Sample

Samples: TypeAlias = Mapping[str, Sequence[Sample]]
# One stream's samples in, noise of the same kind at the same times out.
Noise: TypeAlias = Callable[[Sequence[Sample], np.random.Generator], Sequence[Sample]]


def evaluate(
    scenes: Iterable[LabelledSamples], config: Config, model: CompiledBundle, noise: Noise
) -> dict[str, float]:
    """{condition: accuracy}. The same scenes give the same table."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for number, scene in enumerate(scenes):
        for condition, samples in _conditions(scene.samples, noise, number):
            top = predict(samples, scene.tick_ns, config, model)
            hits[condition].append(top == scene.label)
    return {condition: sum(right) / len(right) for condition, right in hits.items()}


def predict(samples: Samples, tick_ns: int, config: Config, model: CompiledBundle) -> str:
    """The likeliest label at a tick, from a node that has seen these samples and nothing else."""
    node = FusionNode(config, model)
    for sample in sorted(
        (sample for stream in samples.values() for sample in stream), key=lambda s: s.t_publish_ns
    ):
        node.accept(sample, sample.t_publish_ns)
    return node.tick(tick_ns).top


def _conditions(samples: Samples, noise: Noise, number: int) -> Iterator[tuple[str, Samples]]:
    yield "all", samples
    modalities = {MODALITY[kind_of(stream)] for stream in samples}
    for modality in sorted(modalities):
        own = {s: x for s, x in samples.items() if MODALITY[kind_of(s)] == modality}
        others = {s: x for s, x in samples.items() if s not in own}
        rng = np.random.default_rng([number, zlib.crc32(modality.encode())])
        yield f"{modality} only", own
        yield f"{modality} missing", others
        yield f"{modality} noise", {**others, **{s: noise(x, rng) for s, x in own.items()}}


def table(accuracy: Mapping[str, float]) -> str:
    """The accuracies as a Markdown table, a row a modality."""
    modalities = sorted({name.split()[0] for name in accuracy} - {"all"})
    rows = [f"all modalities: {accuracy['all']:.3f}", ""]
    rows += ["| modality | it alone | without it | noise in its place |", "|---|---|---|---|"]
    for modality in modalities:
        cells = (accuracy[f"{modality} {how}"] for how in ("only", "missing", "noise"))
        rows.append(f"| {modality} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    return "\n".join(rows)
