"""The table of the examples: each is trained as its first lines say, judged by 500 unseen scenes,
and set beside what one modality alone and what no modality would reach.

    python -m deploy.example_table --out runs [NAME...]

What is in the folder already is not made again.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.evaluation.judge import sensorium

FOLDER = Path(__file__).parent / "example"
N_SCENES = 500
FUSIONS = {"fusions": ("mean", "weighted", "concat", "self_attention")}
TRAINING = re.compile(r"sensorium train \S+ --scenes (\d+)")


class Row(NamedTuple):
    """What a head scores, what it would score without looking, and by its best modality alone."""

    example: str
    head: str
    measure: str
    score: float
    blind: float | None
    alone: float | None
    latency_ms: float


def rows_of(example: str, found: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of an example from what `sensorium evaluate --json` found."""
    modalities, latency_ms = list(found["curves"]), found["latency_ms"]["p50"]
    for head, scores in found["heads"].items():
        measured = _measured(scores)
        if measured is not None:
            alone = _best_alone(scores.get("missing", {}), modalities)
            yield Row(example, head, *measured, alone, latency_ms)


def _measured(scores: Mapping[str, Any]) -> tuple[str, float, float | None] | None:
    """The name of the measure, the score, and that of an answer that looks at nothing."""
    if "majority" in scores:
        return "accuracy", scores["accuracy"], scores["majority"]
    if "recall@1" in scores:
        return "recall@1", scores["recall@1"], scores["chance"]
    if "key_words" in scores:
        return "key words", scores["key_words"], scores["common"]
    if "explained_variance" in scores:
        return "explained variance", scores["explained_variance"], 0.0
    if "exact" in scores:
        return "average precision", scores["average_precision"], None
    if "accuracy" in scores:  # of pairs, half of which belong together
        return "accuracy", scores["accuracy"], 0.5
    return None


def _best_alone(missing: Mapping[str, float], modalities: Sequence[str]) -> float | None:
    """The best score of one modality, when all others are missing."""
    fewest = len(modalities) - 1
    found = [score for gone, score in missing.items() if gone.count("+") + 1 == fewest]
    return max(found, default=None)


def table(rows: Sequence[Row]) -> str:
    """A Markdown table. The margin is over the better of the two baselines."""
    head = "example | head | measure | score | without looking | best alone | margin | latency, ms"
    lines = [f"| {head} |", f"|{'---|' * (head.count('|') + 1)}"]
    for row in rows:
        baselines = [x for x in (row.blind, row.alone) if x is not None]
        margin = f"{row.score - max(baselines):+.3f}" if baselines else "-"
        cells = [row.example, row.head, row.measure, f"{row.score:.3f}"]
        cells += ["-" if x is None else f"{x:.3f}" for x in (row.blind, row.alone)]
        lines.append(f"| {' | '.join([*cells, margin, f'{row.latency_ms:.1f}'])} |")
    return "\n".join(lines)


def judged(config: Path, out: Path, fusion: str = "") -> dict[str, Any]:
    """Train an example and judge it, unless that was done. Raises SensoriumError."""
    bundle = out / (f"{config.stem}_{fusion}" if fusion else config.stem)
    if not (bundle / "bundle.json").exists():
        scenes = TRAINING.search(config.read_text(encoding="utf-8"))
        assert scenes is not None, config
        other = ["--fusion", fusion] if fusion else []
        sensorium("train", str(config), "--scenes", scenes[1], "--out", str(bundle), *other)
    told = bundle.with_suffix(".json")
    if not told.exists():
        streams = ["--config", str(config), "--scenes", str(N_SCENES)]
        done = sensorium("evaluate", str(bundle), *streams, "--json")
        told.write_text(done.splitlines()[-1] + "\n", encoding="utf-8")
    found: dict[str, Any] = msgspec.json.decode(told.read_bytes())
    return found


def main() -> int:
    """Print the table."""
    known = sorted(path.stem for path in FOLDER.glob("*.toml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(known)}")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="for the bundles")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.names or known:
        for fusion in FUSIONS.get(name, ("",)):
            found = judged(FOLDER / f"{name}.toml", arguments.out, fusion)
            rows += rows_of(f"{name}, {fusion}" if fusion else name, found)
    sys.stdout.write(table(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
