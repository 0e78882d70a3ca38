"""The `sensorium` command: an index of its commands."""

from __future__ import annotations

import argparse
import logging
import os
import select
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from engines.error import EngineError
from pipeline.arguments import parser
from pipeline.error import SensoriumError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.label.truth import Truths
    from pipeline.sample import Frame

Command: TypeAlias = Callable[[argparse.Namespace], int]

EXIT_INTERRUPTED = 130  # as a shell says it: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        arguments = parser().parse_args(argv)
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        code = handler(arguments.command)(arguments)
        sys.stdout.flush()
    except (SensoriumError, EngineError) as error:
        return _fail(error)
    except BrokenPipeError:
        if not _reader_hung_up():
            raise
        # What is left in the buffer goes nowhere, without a word from the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


def _reader_hung_up() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _fail(error: Exception) -> int:
    sys.stderr.write(f"sensorium: {error}\n")
    return 2


def handler(name: str) -> Command:
    """What runs a command. It is imported only now, so that --help answers at once."""
    entry = COMMANDS[name]
    if not isinstance(entry, str):
        return entry
    from pkgutil import resolve_name

    found: Command = resolve_name(entry)
    return found


# These are given what is of the sensors or the simulated home: only this module may import it.


def _demo(arguments: argparse.Namespace) -> int:
    from deploy.simulated_home import demo_config, truth
    from pipeline.command.run import demo

    config = demo_config(arguments.set)
    return demo(arguments, config, truth(config))


def _sensor(arguments: argparse.Namespace) -> int:
    from pipeline.command.configuration import sensor
    from sensors.process import publish

    return sensor(arguments, publish)


def _evaluate(arguments: argparse.Namespace) -> int:
    from deploy import simulated_home
    from pipeline.evaluation.command import evaluate

    return evaluate(arguments, simulated_home)


def _train(arguments: argparse.Namespace) -> int:
    from deploy import simulated_home
    from pipeline.learning.command import train

    return train(arguments, simulated_home)


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.what == "run":
        from deploy.simulated_home import demo_config
        from pipeline.latency.command import bench_run

        return bench_run(arguments, demo_config)
    from pipeline.command.bench import bench

    return bench(arguments, _vga_frames)


def _vga_frames(n: int) -> list[Frame]:
    from sensors.simulator import Home, frames

    made = frames(Home(seed=1), stream="camera/a", rate_hz=30, start_ns=0, size_px=(640, 480))
    return list(islice(made, n))


def _label(arguments: argparse.Namespace) -> int:
    from pipeline.label.command import label

    def truths_of(config: Config) -> Truths:
        from deploy.simulated_home import truths

        return truths(config)

    return label(arguments, truths_of)


def _install_service(arguments: argparse.Namespace) -> int:
    from deploy.unit import install_service

    return install_service(arguments)


COMMANDS: dict[str, str | Command] = {
    "demo": _demo,
    "run": "pipeline.command.run:run",
    "validate": "pipeline.command.configuration:validate",
    "graph": "pipeline.command.configuration:graph",
    "sensor": _sensor,
    "keys": "pipeline.command.configuration:keys",
    "install-service": _install_service,
    "evaluate": _evaluate,
    "train": _train,
    "doctor": "deploy.doctor.command:doctor",
    "compare-fusions": "deploy.fusion_comparison:compare_fusions",
    "bench": _bench,
    "compile": "pipeline.building.command:compile_bundle",
    "engines": "pipeline.building.command:engines",
    "info": "pipeline.log.command:info",
    "repair": "pipeline.log.command:repair",
    "status": "pipeline.monitor.command:status",
    "top": "pipeline.monitor.command:top",
    "stop": "pipeline.command.control:control",
    "mute": "pipeline.command.control:control",
    "unmute": "pipeline.command.control:control",
    "trigger": "pipeline.command.control:control",
    "record": "pipeline.record.command:record",
    "replay": "pipeline.replay.command:replay",
    "import": "pipeline.exchange.command:bring_in",
    "export": "pipeline.exchange.command:give_out",
    "label": _label,
    "index": "pipeline.retrieval.command:index",
    "trace": "pipeline.latency.command:trace",
    "calibrate": "pipeline.calibration.command:calibrate",
    "chaos": "pipeline.chaos.command:chaos",
}


if __name__ == "__main__":
    sys.exit(main())
