"""`sensorium replay`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.quantity import number, seconds_or_none

if TYPE_CHECKING:
    from pipeline.log.reader import LogReader
    from pipeline.replay.part import Choice
    from pipeline.replay.virtual import WindowMode

log = logging.getLogger(__name__)

# A bus has no reader to wait for: as fast as it computes goes into the node only.
SPEED = number("speed above 0; without --bus a replay is as fast as can be", 1e-6)


def add_arguments(commands: Any) -> None:
    """Add `replay`."""
    text = "replay a log into the fusion node, or onto the bus"
    made = commands.add_parser("replay", help=text, description=text)
    made.set_defaults(command="replay")
    made.add_argument("file", type=Path, metavar="FILE", help="a log")
    made.add_argument("--config", type=Path, metavar="FILE", help="in place of the log's own")
    made.add_argument(
        "--start",
        type=seconds_or_none,
        default=0.0,
        metavar="S",
        help="from here on",
    )
    made.add_argument("--duration", type=seconds_or_none, metavar="S", help="for so long")
    made.add_argument("--streams", type=_names, default=(), metavar="A,B", help="only these")
    made.add_argument("--remap", action="append", default=[], metavar="OLD=NEW", help="rename")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override")
    made.add_argument("--json", action="store_true", help="end with one line of JSON")
    _add_node_arguments(made.add_argument_group("into the node"))
    _add_bus_arguments(made.add_argument_group("onto the bus"))


def _add_node_arguments(group: Any) -> None:
    group.add_argument(
        "--windows",
        choices=["recorded", "aligned"],
        help="the samples that the recorded predictions name, or those published by the tick",
    )
    group.add_argument("--bundle", metavar="OTHER", help="another model: how does it decide?")
    group.add_argument("--backend", metavar="B", help="another backend")
    golden = group.add_mutually_exclusive_group()
    golden.add_argument("--golden", type=Path, metavar="FILE", help="exit with 1 if it differs")
    golden.add_argument("--write-golden", type=Path, metavar="FILE", help="write predictions")


def _add_bus_arguments(group: Any) -> None:
    group.add_argument("--bus", action="store_true", help="publish the streams as their sensors do")
    group.add_argument("--speed", type=SPEED, default=1.0, metavar="X", help="2: twice as fast")
    group.add_argument("--loop", action="store_true", help="start again at the end")


def replay(arguments: argparse.Namespace) -> int:
    """Run `sensorium replay`. Raises SensoriumError, EngineError."""
    from pipeline.log.reader import LogReader
    from pipeline.replay.part import Choice, parse_names

    choice = Choice(
        start_s=arguments.start,
        duration_s=arguments.duration,
        streams=arguments.streams,
        names=parse_names(arguments.remap),
    )
    with LogReader(arguments.file) as reader:
        if arguments.bus:
            return _onto_the_bus(arguments, reader, choice)
        return _into_the_node(arguments, reader, choice)


def _into_the_node(arguments: argparse.Namespace, reader: LogReader, choice: Choice) -> int:
    from engines.bundle import load_bundle
    from engines.compiled import CompiledBundle
    from pipeline.replay import report
    from pipeline.replay.part import Part, ReplayError
    from pipeline.replay.settings import is_recorded_bundle, replay_config
    from pipeline.replay.virtual import VirtualReplay

    overrides = list(arguments.set)
    for key in ("bundle", "backend"):
        if value := getattr(arguments, key):
            overrides.append(f"fusion.{key}={value}")
    config = replay_config(reader, arguments.config, choice.names, overrides)
    part = Part(reader, choice)
    fusion = config.fusion
    model = CompiledBundle(load_bundle(fusion.bundle), fusion.backend, fusion.options)
    is_same = is_recorded_bundle(reader, config)
    # Another model may want other windows: by default it gets those that it would have had live.
    mode: WindowMode | None = arguments.windows or (None if is_same else "aligned")
    run = VirtualReplay(config, model, part, mode)
    if not is_same and run.kept:
        raise ReplayError(f"{run.kept[0]} was recorded as tokens of another bundle")
    if not is_same and not arguments.bundle:
        log.warning("bundle %s is not the one that was recorded with", config.fusion.bundle)
    result = report.follow(run, part, golden=arguments.golden, write=arguments.write_golden)
    _print(result if arguments.json else None, report.text(result))
    if result.get("golden"):
        sys.stderr.write(f"{arguments.golden}: {result['golden']}\n")
        return 1
    return 0


def _onto_the_bus(arguments: argparse.Namespace, reader: LogReader, choice: Choice) -> int:
    from pipeline.replay import bus
    from pipeline.replay.part import Part
    from pipeline.replay.settings import replay_config
    from pipeline.runner import stop_on_signals

    config = replay_config(reader, arguments.config, choice.names, arguments.set)
    part = Part(reader, choice)
    pace = bus.Pace(speed=arguments.speed, loop=arguments.loop)
    result = bus.publish(config, part, pace, stop_on_signals())
    _print(result if arguments.json else None, bus.text(result))
    return 0


def _print(result: dict[str, Any] | None, text: str) -> None:
    import msgspec

    sys.stdout.write((text if result is None else msgspec.json.encode(result).decode()) + "\n")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
