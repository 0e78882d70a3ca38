"""`sensorium compare-fusions`: the methods side by side, after the same training."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from deploy.fusion_table import fusion_table
from deploy.simulated_home import N_COMPARED, cut_examples, home_plan
from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from engines.example import Example
from engines.fusion.name import FusionName
from engines.slots import Slots
from pipeline.command.answer import print_json
from pipeline.error import SensoriumError
from pipeline.learning.training import prepare
from sensors.simulator import TRAIN, UNSEEN

N_UNSEEN = 300
EPOCHS = 6
BATCH = 16  # a short training needs the steps
LATENCY_ROUNDS = 500


def compare_fusions(arguments: argparse.Namespace) -> int:
    """Train, export and measure each method. Raises SensoriumError without torch, EngineError."""
    prepare()
    if arguments.config:
        if not arguments.logs or not arguments.judge:
            raise SensoriumError("with a CONFIG: name logs to train on, and others with --judge")
        return fusion_table(arguments)
    made = cut_examples(TRAIN, n_scenes=arguments.scenes, seed=arguments.seed)
    unseen = cut_examples(UNSEEN, n_scenes=N_UNSEEN, seed=arguments.seed)
    models: dict[str, CompiledBundle] = {}
    found: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as folder:
        for name in arguments.only:
            path = Path(folder) / name
            n_parameters = _train(name, made, path, arguments)
            models[name] = CompiledBundle(load_bundle(str(path)), "onnxruntime")
            found[name] = {"parameters": n_parameters, **accuracy(models[name], unseen)}
    for measured, latency_us in _latencies_us(models, unseen[0]).items():
        found[measured]["latency_us"] = latency_us
    if arguments.json:
        return print_json(found)
    sys.stdout.write(table(found) + "\n")
    return 0


def _train(
    name: FusionName, made: Sequence[Example], folder: Path, arguments: argparse.Namespace
) -> int:
    """Write a bundle; returns how many parameters its fusion has."""
    from engines.export import export
    from engines.training.progress import Progress
    from engines.training.train import train

    def report(progress: Progress) -> None:
        sys.stderr.write(f"{name}: {progress}\n")

    plan = home_plan(name, epochs=arguments.epochs or EPOCHS, batch=BATCH, seed=arguments.seed)
    model = train(made, plan, report)
    made_by = "sensorium compare-fusions"
    export(model, made[:N_COMPARED], folder, name=name, made_by=made_by)
    return sum(parameter.numel() for parameter in model.fusion.parameters())


def accuracy(model: CompiledBundle, examples: Sequence[Example]) -> dict[str, float]:
    """The share of right answers with all modalities, and on average without any one of them."""
    hits: dict[str, list[bool]] = defaultdict(list)
    slots = Slots(model.manifest, {name: (name,) for name in model.encoders})
    for example in examples:
        tokens = {name: model.encode(name, inputs) for name, inputs in example.inputs.items()}
        for without in ("", *model.encoders):
            slots.clear()
            for name in tokens.keys() - {without}:
                slots.put(name, tokens[name], example.ages_s[name])
            scores = model.fusion.run(slots.feeds())[model.manifest.main][0]
            right = model.manifest.labels[int(scores.argmax())] == example.targets["truth"][-1]
            hits["one_missing" if without else "all"].append(right)
    return {condition: sum(right) / len(right) for condition, right in hits.items()}


def _latencies_us(models: Mapping[str, CompiledBundle], example: Example) -> dict[str, float]:
    """The median time of a fusion engine's run; they take turns, so that load strikes all alike."""
    runs: dict[str, Callable[[], object]] = {}
    for name, model in models.items():
        slots = Slots(model.manifest, {modality: (modality,) for modality in example.inputs})
        for modality, inputs in example.inputs.items():
            slots.put(modality, model.encode(modality, inputs), example.ages_s[modality])
        runs[name] = _run_of(model, slots)
    taken_ns: dict[str, list[int]] = defaultdict(list)
    for _ in range(LATENCY_ROUNDS):
        for name, run in runs.items():
            started_ns = time.perf_counter_ns()
            run()
            taken_ns[name].append(time.perf_counter_ns() - started_ns)
    return {name: median(times) / 1e3 for name, times in taken_ns.items()}


def _run_of(model: CompiledBundle, slots: Slots) -> Callable[[], object]:
    return lambda: model.fusion.run(slots.feeds())


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table, a row a method."""
    rows = [
        "| fusion | parameters | latency, us | all modalities | one missing |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {row['parameters']:,} | {row['latency_us']:.0f} | {row['all']:.3f} |"
        f" {row['one_missing']:.3f} |"
        for name, row in found.items()
    ]
    return "\n".join(rows)
