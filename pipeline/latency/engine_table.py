"""`sensorium bench engines`: each graph on each backend, interleaved and paced, as ratios."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engines.bench.contender import REFERENCE, contenders
from engines.bench.paced import paced_ms
from engines.bench.subject import Subject, known_encoders, of_bundle, of_encoders
from engines.bundle import load_bundle
from pipeline.latency import ratio
from pipeline.latency.conditions import machine

RUN = 15  # calls: several make the pairs that a ratio and its interval are made of


def bench_engines(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure what the arguments say. Raises EngineError."""
    with _subjects(arguments) as subjects:
        return measure(subjects, arguments.rounds_each, arguments.period_ms / 1e3)


def measure(subjects: Iterable[Subject], n_rounds: int, period_s: float) -> dict[str, Any]:
    """{"graphs": {name: {contender: figures}}, "missing": {contender: why}, "machine": ...}.

    The calls of all contenders of a graph alternate in one run, each after `period_s` of idling.
    """
    graphs: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for subject in subjects:
        with contenders(subject.path, subject.feeds) as (calls, absent):
            times = paced_ms({**calls, **subject.calls}, n_rounds, period_s)
        graphs[subject.name] = {name: figures(own, times[REFERENCE]) for name, own in times.items()}
        missing |= {name: why for name, why in absent.items() if name not in missing}
    paced = {"rounds": n_rounds, "period_ms": period_s * 1e3, "threads": 1}
    return {"graphs": graphs, "missing": missing, "paced": paced, "machine": machine()}


def figures(times_ms: Sequence[float], reference_ms: Sequence[float]) -> dict[str, Any]:
    """p50 and p99, and the p50 against that of the reference, with its interval of 95 %."""
    p50, p99 = np.percentile(times_ms, (50, 99))
    found: dict[str, Any] = {"p50_ms": round(float(p50), 4), "p99_ms": round(float(p99), 4)}
    pairs = _runs(reference_ms), _runs(times_ms)
    if len(pairs[0]) >= ratio.MIN_PAIRS and times_ms is not reference_ms:
        found["ratio"] = ratio.of_pairs(*pairs)["p50"]
    return found


def text(result: Mapping[str, Any]) -> str:
    """A table for people: p50 in ms, and how much of the reference that is."""
    lines = []
    for graph, contenders_of in result["graphs"].items():
        lines.append(graph)
        for name, found in sorted(contenders_of.items(), key=lambda item: item[1]["p50_ms"]):
            against = (
                ""
                if "ratio" not in found
                else "  x {:.2f} ({:.2f} to {:.2f})".format(*found["ratio"])
            )
            times = f"{found['p50_ms']:9.3f} ms  p99 {found['p99_ms']:9.3f}"
            lines.append(f"  {name:18}{times}{against}")
    paced = result["paced"]
    lines.append(
        f"one thread each; {paced['rounds']} calls, {paced['period_ms']:g} ms apart, in turn;"
        f" x is p50 against {REFERENCE} and its 95 % interval"
    )
    lines += [f"not measured: {name}: {why}" for name, why in result["missing"].items()]
    return "\n".join(lines)


def _runs(times_ms: Sequence[float]) -> list[Sequence[float]]:
    n = len(times_ms) // RUN
    return [times_ms[at * RUN : (at + 1) * RUN] for at in range(n)]


@contextmanager
def _subjects(arguments: argparse.Namespace) -> Iterator[Iterable[Subject]]:
    if arguments.bundle:
        yield of_bundle(load_bundle(arguments.bundle))
        return
    with tempfile.TemporaryDirectory(prefix="sensorium-bench-") as folder:
        names = arguments.encoders or known_encoders()
        yield of_encoders(names, Path(folder), arguments.size_px, not arguments.no_compile)
