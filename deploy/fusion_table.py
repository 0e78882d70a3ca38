"""`sensorium compare-fusions CONFIG LOG... --judge LOG`: every fusion and every modality alone, on
logs, with several seeds.

Each training is a process of its own, as a user would start it, and so is each evaluation.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from pipeline.command.answer import print_json
from pipeline.evaluation.judge import judged, sensorium
from pipeline.learning.training import CHECKPOINTS

ONE_MISSING, ALONE = "one missing", "one alone"
COLUMNS = ("clean", ONE_MISSING, ALONE, "noisy", "robust", "stale", "ece")
PER_CENT = 100.0
BYTES_A_PARAMETER = 4

Row = dict[str, float]


def fusion_table(arguments: argparse.Namespace) -> int:
    """Train and judge each fusion with each seed. Raises SensoriumError where a process fails."""
    rows: dict[str, list[Row]] = defaultdict(list)
    out: Path = arguments.out
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        for name in arguments.only:
            folder = out / f"{name}-{seed}"
            if not (folder / "bundle.json").exists():
                _share(out / f"{arguments.only[0]}-{seed}" / CHECKPOINTS, folder / CHECKPOINTS)
                sensorium("train", *_training(arguments, name, seed), "--out", str(folder))
            found = judged(folder, arguments.judge)
            rows[name].append(row_of(found))
            if name == arguments.only[0] and (folder / "product").is_dir():
                for modality, row in rows_alone(judged(folder / "product", arguments.judge)):
                    rows[modality].append(row)
    means = {name: mean_row(found) for name, found in rows.items()}
    if arguments.json:
        return print_json(means)
    sys.stdout.write(table(means) + "\n")
    return 0


def _share(done: Path, folder: Path) -> None:
    """What the encoders have learned alone is the same for every fusion of a seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in done.glob("alone-*.pt"):
        if not (folder / path.name).exists():
            shutil.copyfile(path, folder / path.name)


def _training(arguments: argparse.Namespace, name: str, seed: int) -> list[str]:
    """One model a training: an ensemble would hide what the fusion is worth."""
    epochs = ["--set", f"model.train.epochs={arguments.epochs}"] if arguments.epochs else []
    logs = [str(log) for log in arguments.logs]
    single = ["--set", "model.train.teachers=0"]
    return [str(arguments.config), *logs, "--fusion", name, "--seed", str(seed), *single, *epochs]


def row_of(found: Mapping[str, Any]) -> Row:
    """A row of the table from what `evaluate` found: per cent, ms, and a number of parameters."""
    missing = found["missing"]
    fewest = min(pattern.count("+") for pattern in missing)
    one = [score for pattern, score in missing.items() if pattern.count("+") == fewest]
    more = [score for pattern, score in missing.items() if pattern.count("+") > fewest]
    return {
        "clean": PER_CENT * found["accuracy"],
        ONE_MISSING: PER_CENT * fmean(one),
        ALONE: PER_CENT * fmean(more or one),
        "noisy": PER_CENT * fmean(found["noisy"].values()),
        "robust": PER_CENT * found["robust"],
        "stale": PER_CENT * (found["stale"] or 0.0),
        "ece": found["ece"],
        "parameters": found["size_bytes"] / BYTES_A_PARAMETER,
        "latency_ms": found["latency_ms"]["p50"],
    }


def rows_alone(found: Mapping[str, Any]) -> list[tuple[str, Row]]:
    """A row a modality: what is left when all others are missing."""
    modalities, sizes = list(found["noisy"]), found["encoder_bytes"]
    rows = []
    for modality in modalities:
        others = "+".join(name for name in modalities if name != modality)
        if others in found["missing"]:
            row = {
                "clean": PER_CENT * found["missing"][others],
                "parameters": sizes[modality] / BYTES_A_PARAMETER,
                "latency_ms": found["missing_ms"][others],
            }
            rows.append((f"{modality} alone", row))
    return rows


def mean_row(rows: Sequence[Row]) -> Row:
    """The mean over the seeds; `spread` is the standard deviation of the clean score."""
    made = {key: fmean(row[key] for row in rows) for key in rows[0]}
    return made | {"spread": pstdev([row["clean"] for row in rows]), "seeds": float(len(rows))}


def table(rows: Mapping[str, Row]) -> str:
    """A Markdown table, a row a fusion or modality."""
    head = ["fusion", "seeds", *COLUMNS, "parameters", "ms"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, row in rows.items():
        cells = [name, f"{row['seeds']:.0f}", f"{row['clean']:.1f} ({row['spread']:.1f})"]
        cells += [f"{row[key]:.1f}" if key in row else "" for key in COLUMNS[1:-1]]
        cells.append(f"{row['ece']:.3f}" if "ece" in row else "")
        cells += [f"{row['parameters']:,.0f}", f"{row['latency_ms']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
