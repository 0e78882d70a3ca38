"""`sensorium evaluate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.quantity import count

if TYPE_CHECKING:
    from engines.bundle import Bundle
    from pipeline.config import Config
    from pipeline.evaluation.condition import Trial
    from pipeline.learning.simulation import Simulation
    from pipeline.sample import LabelledSamples

SCENES = 1000
NOISY = 2000  # windows on which corruption is tried
CURVE = 400  # windows on which other doses are tried


def add_arguments(commands: Any) -> None:
    """Add `evaluate`."""
    text = "measure how right a bundle is, on labelled logs or on unseen simulated scenes"
    made = commands.add_parser("evaluate", help=text, description=text)
    made.set_defaults(command="evaluate")
    made.add_argument("bundle", nargs="?", default="home", help="a shipped bundle or a folder")
    made.add_argument("logs", nargs="*", type=Path, metavar="LOG", help="a labelled log")
    made.add_argument("--scenes", type=count, help=f"without logs: how many (default {SCENES})")
    made.add_argument("--seed", type=int, default=2026, help="of the scenes")
    made.add_argument("--config", type=Path, metavar="FILE", help="in place of the log's own")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override")
    made.add_argument("--part", default="", help="of a split log: only this part, as val")
    made.add_argument("--limit", type=count, metavar="N", help="at most so many windows")
    made.add_argument(
        "--windows",
        choices=["aligned", "recorded"],
        default="aligned",
        help="the samples published by the tick, or those that the recorded predictions name",
    )
    made.add_argument("--html", type=Path, metavar="FILE", help="write a report with pictures")
    made.add_argument("--json", action="store_true", help="end with one line of JSON")


def evaluate(arguments: argparse.Namespace, simulation: Simulation) -> int:
    """Run `sensorium evaluate`. Raises SensoriumError, EngineError."""
    from pipeline.command.answer import print_json
    from pipeline.evaluation.page import write_page
    from pipeline.evaluation.report import text

    if arguments.logs and arguments.scenes:
        from pipeline.learning.error import LearningError

        raise LearningError("--scenes: judge by logs or by scenes, not by both")
    found = _of_logs(arguments) if arguments.logs else _of_scenes(arguments, simulation)
    if not found["windows"]:
        from pipeline.learning.error import LearningError

        raise LearningError("no window of the logs has a label that the bundle knows")
    if arguments.html:
        write_page(arguments.html, found)
    if arguments.json:
        return print_json(found)
    sys.stdout.write(text(found) + "\n")
    return 0


def _of_scenes(arguments: argparse.Namespace, simulation: Simulation) -> dict[str, Any]:
    from engines.bundle import load_bundle
    from pipeline.evaluation.condition import Trial
    from pipeline.loader import load

    overrides = [f"fusion.bundle={arguments.bundle}", *arguments.set]
    config = (
        load(arguments.config, overrides) if arguments.config else simulation.demo_config(overrides)
    )
    n = arguments.scenes or SCENES
    scenes = simulation.unseen(config, n, arguments.seed)
    trial = Trial(curve_every=max(1, n // CURVE), noise=simulation.noise)
    found = _judged(scenes, config, load_bundle(config.fusion.bundle), trial, n)
    return found | {"what": "unseen scenes"}


def _of_logs(arguments: argparse.Namespace) -> dict[str, Any]:
    from engines.bundle import load_bundle
    from pipeline.evaluation.condition import Trial
    from pipeline.evaluation.head import label_sets
    from pipeline.evaluation.result import STALE
    from pipeline.learning.fitness import losses
    from pipeline.learning.reading import labelled
    from pipeline.learning.source import Wanted, config_of, sources_of
    from pipeline.learning.window_folder import About

    bundle = load_bundle(arguments.bundle)
    overrides = [f"fusion.bundle={arguments.bundle}", *arguments.set]
    config = config_of(arguments.logs, arguments.config, overrides)
    wanted = Wanted(
        encoders=bundle.manifest.encoders,
        labels=label_sets(bundle.manifest),
        also=(STALE,),
        mode=arguments.windows,
        part=arguments.part,
    )
    sources, notes = sources_of(arguments.logs, config, wanted)
    about = About()
    windows = chain.from_iterable(labelled(source.job, about) for source in sources)
    expected = sum(source.expected for source in sources)
    n = min(expected, arguments.limit or expected)
    trial = Trial(noisy_every=max(1, n // NOISY), curve_every=max(1, n // CURVE))
    found = _judged(islice(windows, arguments.limit), config, bundle, trial, n)
    for note in (*notes, *losses([about])):
        sys.stderr.write(f"{note}\n")
    return found | {"what": "windows of " + ", ".join(log.name for log in arguments.logs)}


def _judged(
    scenes: Iterator[LabelledSamples], config: Config, bundle: Bundle, trial: Trial, n: int
) -> dict[str, Any]:
    from pipeline.evaluation.result import evaluate
    from pipeline.progress import progress

    with progress("evaluating", n) as advance:
        return evaluate(scenes, config, bundle, trial, advance)
