"""All that an evaluation found, as one object that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from engines.bundle import Bundle
from engines.compiled import CompiledBundle
from engines.options import EngineOptions
from engines.output import MatchOutput, Output
from engines.variant import graph_path, graph_roles
from pipeline.config import Config
from pipeline.evaluation.condition import ALL, DOSES, JUDGED, Condition, Findings, Trial, judge
from pipeline.evaluation.head import details, headline
from pipeline.evaluation.panel import Panel
from pipeline.evaluation.relation import relations
from pipeline.sample import LabelledSamples

STALE = "stale"  # the label set that says what lags


def evaluate(
    scenes: Iterable[LabelledSamples],
    config: Config,
    bundle: Bundle,
    trial: Trial,
    advance: Callable[[float], None] = lambda done: None,
) -> dict[str, Any]:
    """Judge a bundle on windows. Raises ConfigError, EngineError."""
    options = EngineOptions(precision=config.fusion.precision)
    model = CompiledBundle(bundle, config.fusion.backend, options)
    panel = Panel(config, model)
    heads = bundle.manifest.heads
    if any(isinstance(head, MatchOutput) for head in heads.values()):
        trial = Trial(
            noisy_every=trial.noisy_every,
            curve_every=trial.curve_every,
            shuffles=True,
            noise=trial.noise,
        )
    found = judge(panel, scenes, trial, advance)
    if not found.targets:
        return {"windows": 0}
    scores = {
        name: details(head, found.rows[ALL][name], found.targets) | _missing(name, head, found)
        for name, head in heads.items()
    }
    scores |= relations(model, found, panel.modalities)
    model.close()
    main = bundle.manifest.main or next(iter(heads))
    return {
        "bundle": bundle.manifest.name,
        "windows": len(found.targets),
        "main": main,
        "kind": _kind(heads[main]),
        **_main(main, heads[main], scores[main], found, panel),
        "latency_ms": _latency_ms(found, ALL),
        "missing_ms": _missing_ms(found),
        "size_bytes": size_bytes(bundle, config.fusion.precision, config.fusion.backend),
        "encoder_bytes": encoder_bytes(bundle, config.fusion.precision, config.fusion.backend),
        "precision": config.fusion.precision or "fp32",
        "backend": config.fusion.backend,
        "heads": scores,
    }


def _main(
    name: str, head: Output, scores: dict[str, Any], found: Findings, panel: Panel
) -> dict[str, Any]:
    """What the main head scores under every condition."""

    def of(condition: Condition) -> float | None:
        targets = [found.targets[n] for n in found.numbers[condition]]
        return headline(head, found.rows[condition][name], targets)

    tried = list(found.rows)
    missing = {"+".join(c.modalities): of(c) for c in tried if c.kind == "missing"}
    noisy = {c.modalities[0]: of(c) for c in tried if c.kind == "noisy" and c.dose == JUDGED}
    replaced = {c.modalities[0]: of(c) for c in tried if c.kind == "replaced"}
    first = of(ALL)
    made = {
        "accuracy": scores.get("accuracy"),
        "score": _first(scores) if first is None else first,
        "score_name": _score_name(head),
        "ece": scores.get("ece"),
        "missing": missing,
        "noisy": noisy,
        "robust": _mean([first, *missing.values(), *noisy.values()]),
        "stale": _stale(name, head, found),
        "curves": {m: _curve(first, m, of, tried) for m in panel.modalities},
    }
    return made | ({"replaced": replaced} if replaced else {})


def _missing(name: str, head: Output, found: Findings) -> dict[str, Any]:
    """The headline of a head under each pattern of what is missing; nothing of one without."""
    made = {
        "+".join(condition.modalities): headline(
            head, rows[name], [found.targets[n] for n in found.numbers[condition]]
        )
        for condition, rows in found.rows.items()
        if condition.kind == "missing"
    }
    known = {pattern: score for pattern, score in made.items() if score is not None}
    return {"missing": known} if known else {}


def _curve(
    first: float | None,
    modality: str,
    of: Callable[[Condition], float | None],
    tried: list[Condition],
) -> list[list[float | None]]:
    """[[dose, score], ...] from nothing on."""
    doses = [d for d in DOSES if Condition("noisy", (modality,), d) in tried]
    return [[0.0, first], *([d, of(Condition("noisy", (modality,), d))] for d in doses)]


def _stale(name: str, head: Output, found: Findings) -> float | None:
    """The headline on windows of which the set STALE says something."""
    numbers = [n for n, said in enumerate(found.targets) if said.get(STALE)]
    rows, targets = found.rows[ALL][name], found.targets
    return headline(head, [rows[n] for n in numbers], [targets[n] for n in numbers])


def _first(scores: dict[str, Any]) -> float | None:
    """The headline of a head that is judged by relations."""
    keys = ("accuracy", "key_words", "recall@1", "explained_variance")
    return next((scores[key] for key in keys if key in scores), None)


def _score_name(head: Output) -> str:
    """What conditions are compared by."""
    names = {"classify": "accuracy", "match": "accuracy", "detect": "average precision"}
    names |= {"regress": "explained variance", "retrieve": "recall@1", "caption": "key words"}
    names["reconstruct"] = "explained variance"
    return names.get(_kind(head), "")


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _kind(head: Output) -> str:
    return type(head).__name__.removesuffix("Output").lower()


def _latency_ms(found: Findings, condition: Condition) -> dict[str, float]:
    """Of one window on one thread: front ends, encoders and fusion."""
    ms = np.array(found.seconds[condition]) * 1e3
    return {f"p{p}": float(np.percentile(ms, p)) for p in (50, 99)}


def _missing_ms(found: Findings) -> dict[str, float]:
    """The median for each pattern of what is missing: who is not there is not computed."""
    return {
        "+".join(condition.modalities): _latency_ms(found, condition)["p50"]
        for condition in found.rows
        if condition.kind == "missing"
    }


def size_bytes(bundle: Bundle, precision: str, backend: str) -> int:
    """Of the graphs that a run with this precision loads."""
    paths = {graph_path(bundle, role, backend, precision) for role in graph_roles(bundle.manifest)}
    return sum(path.stat().st_size for path in paths)


def encoder_bytes(bundle: Bundle, precision: str, backend: str) -> dict[str, int]:
    """Of the graph of each modality's encoder."""
    paths = {role: graph_path(bundle, role, backend, precision) for role in bundle.manifest.specs}
    return {modality: path.stat().st_size for modality, path in paths.items()}
