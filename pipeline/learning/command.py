"""`sensorium train`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.fusion.name import FUSIONS
from pipeline.quantity import count

if TYPE_CHECKING:
    from engines.plan import Model
    from pipeline.config import Config
    from pipeline.learning.cache import Task
    from pipeline.learning.simulation import Simulation

SCENES = 14_000
SEED = 7


def add_arguments(commands: Any) -> None:
    """Add `train`."""
    text = "train the model of a configuration on labelled logs, or on simulated scenes"
    made = commands.add_parser("train", help=text, description=text + " (needs torch)")
    made.set_defaults(command="train")
    made.add_argument(
        "config",
        nargs="?",
        type=Path,
        metavar="CONFIG",
        help="a TOML file with the table [model]; default: that of the shipped bundle",
    )
    made.add_argument("logs", nargs="*", type=Path, metavar="LOG", help="a labelled log")
    made.add_argument("--scenes", type=count, help=f"without logs: how many (default {SCENES})")
    made.add_argument("--seed", type=int, help="of the scenes and of the training")
    made.add_argument("--out", type=Path, help="the bundle's folder; default: fusion.bundle")
    made.add_argument("--fusion", choices=FUSIONS, help="in place of that of the configuration")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override")
    made.add_argument("--part", default="", help="of a split log: only this part, as train")
    made.add_argument(
        "--windows",
        choices=["aligned", "recorded"],
        default="aligned",
        help="the samples published by the tick, or those that the recorded predictions name",
    )
    made.add_argument("--fresh", action="store_true", help="do not go on from a checkpoint")
    made.add_argument(
        "--judge",
        action="append",
        type=Path,
        default=[],
        metavar="LOG",
        help="then judge the bundle by this other log, beside the product of its modalities",
    )


def train(arguments: argparse.Namespace, simulation: Simulation) -> int:
    """Run `sensorium train`; under torchrun, one of its processes. Raises SensoriumError,
    EngineError."""
    from pipeline.learning.error import LearningError
    from pipeline.learning.training import Order, leads, learn, prepare

    prepare()
    config = _config(arguments, simulation)
    plan, out = config.model, _out(arguments, config)
    if plan is None:
        raise LearningError(f"{arguments.config}: has no table [model] that says what to train")
    if arguments.logs and arguments.scenes:
        raise LearningError("--scenes: learn from logs or from scenes, not from both")
    _check_judges(arguments)
    tasks, notes = _tasks(arguments, config, plan, simulation)
    _tell(notes)
    order = Order(
        plan=plan, out=out, made_by=_made_by(arguments), is_fresh=arguments.fresh, tell=_tell
    )
    learn(tasks, order)
    if arguments.judge and leads():
        sys.stdout.write(_judgement(arguments, out))
    return 0


def _check_judges(arguments: argparse.Namespace) -> None:
    """The logs to judge by can be read, and none is learned from: told now, not after an hour."""
    from pipeline.learning.error import LearningError
    from pipeline.log.reader import LogReader

    learned = {log.resolve() for log in arguments.logs}
    for log in arguments.judge:
        LogReader(log).close()
        if log.resolve() in learned:
            raise LearningError(f"--judge {log}: it is learned from: name another log")


def _judgement(arguments: argparse.Namespace, out: Path) -> str:
    """The bundle, and the product of what its modalities say alone, by logs to judge by."""
    from pipeline.evaluation.judge import beside, judged
    from pipeline.learning.training import RIVAL

    more = ["--config", str(arguments.config)] if arguments.config else []
    more += [word for override in arguments.set for word in ("--set", override)]
    more += ["--windows", arguments.windows]
    bundles = [out.resolve(), out.resolve() / RIVAL]
    there = [bundle for bundle in bundles if (bundle / "bundle.json").exists()]
    found = [judged(bundle, arguments.judge, *more) for bundle in there]
    return beside([bundle.name for bundle in there], found)


def _config(arguments: argparse.Namespace, simulation: Simulation) -> Config:
    from pipeline.loader import load

    overrides = list(arguments.set)
    if arguments.fusion:
        overrides.append(f"model.fusion={arguments.fusion}")
    if arguments.seed is not None:
        overrides.append(f"model.train.seed={arguments.seed}")
    return load(arguments.config or simulation.HOME_PLAN, overrides)


def _out(arguments: argparse.Namespace, config: Config) -> Path:
    """The folder of the bundle. Raises LearningError."""
    from engines.bundle import SHIPPED
    from pipeline.learning.error import LearningError

    if arguments.out:
        return Path(arguments.out)
    if (SHIPPED / config.fusion.bundle).is_dir():
        raise LearningError(
            f"fusion.bundle is {config.fusion.bundle!r}, which is shipped: say where with --out DIR"
        )
    return Path(config.fusion.bundle)


def _tasks(
    arguments: argparse.Namespace, config: Config, plan: Model, simulation: Simulation
) -> tuple[list[Task], list[str]]:
    from pipeline.learning.piece import task_of
    from pipeline.learning.source import Wanted, sources_of
    from pipeline.learning.training import encoders_of

    encoders, folder = encoders_of(plan)
    if not arguments.logs:
        seed = SEED if arguments.seed is None else arguments.seed
        n = arguments.scenes or SCENES
        return [simulation.scene_task(config, encoders, n, seed)], []
    wanted = Wanted(
        encoders=encoders,
        labels=plan.label_sets,
        also=(plan.train.faults,) if plan.train.faults else (),
        mode=arguments.windows,
        part=arguments.part,
        folder=folder,
    )
    sources, notes = sources_of(arguments.logs, config, wanted)
    return [task_of(source) for source in sources], notes


def _made_by(arguments: argparse.Namespace) -> str:
    """The command without the folders of this machine."""
    words = ["sensorium train"]
    words += [path.name for path in (arguments.config, *arguments.logs) if path]
    for key in ("scenes", "seed", "fusion"):
        if (value := getattr(arguments, key)) is not None:
            words.append(f"--{key} {value}")
    return " ".join([*words, *(f"--set {override}" for override in arguments.set)])


def _tell(lines: Sequence[str]) -> None:
    """On the first process of several."""
    from pipeline.learning.training import leads

    if leads():
        for line in lines:
            sys.stderr.write(f"{line}\n")
