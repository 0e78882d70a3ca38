"""The arguments of the `sensorium` command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engines.fusion.name import FUSIONS
from pipeline.building import command as building_command
from pipeline.calibration import command as calibration_command
from pipeline.chaos import command as chaos_command
from pipeline.evaluation import command as evaluation_command
from pipeline.exchange import command as exchange_command
from pipeline.label import command as label_command
from pipeline.latency import command as latency_command
from pipeline.latency import limit_command
from pipeline.learning import command as learning_command
from pipeline.log import command as log_command
from pipeline.mixed_parser import MixedParser
from pipeline.monitor import command as monitor_command
from pipeline.quantity import count, seconds
from pipeline.record import command as record_command
from pipeline.replay import command as replay_command
from pipeline.retrieval import command as retrieval_command


def parser() -> argparse.ArgumentParser:
    """What the command takes; `command` of the parsed arguments is the name."""
    made = argparse.ArgumentParser(
        prog="sensorium", description="Eyes, ears and words together, on an edge device."
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND", parser_class=MixedParser)
    _add_run_commands(commands)
    _add_config_commands(commands)
    _add_model_commands(commands)
    building_command.add_arguments(commands)
    _add_control_commands(commands)
    return made


def _add(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    made.set_defaults(command=name)
    return made


def _add_run_commands(commands: Any) -> None:
    demo = _add(commands, "demo", "watch a simulated home being understood")
    run = _add(commands, "run", "run a configuration until Ctrl-C")
    run.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    for parser in (demo, run):
        _add_set(parser)
        _add_json(parser)
        parser.add_argument(
            "--seconds", type=seconds, help="stop so long after the first prediction"
        )
        parser.add_argument("--record", type=Path, metavar="FILE", help="record into it, as x.mcap")
    record_command.add_arguments(commands)
    replay_command.add_arguments(commands)
    retrieval_command.add_arguments(commands)
    log_command.add_arguments(commands)
    exchange_command.add_arguments(commands)
    label_command.add_arguments(commands)
    latency_command.add_arguments(commands)
    chaos_command.add_arguments(commands)
    calibration_command.add_arguments(commands)


def _add_config_commands(commands: Any) -> None:
    sensor = _add(commands, "sensor", "run one sensor alone, publishing on its endpoint")
    sensor.add_argument("stream", help="as camera/door")
    doctor = _add(commands, "doctor", "what is there, what is missing, and what to type")
    doctor.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="which needs it")
    _add_json(doctor)
    _add(commands, "keys", "make this user's key if there is none; show the public one")
    service = _add(commands, "install-service", "write a systemd unit for a configuration")
    service.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    service.add_argument("--name", default="", help="of the service; default: that of the run")
    service.add_argument("--user", action="store_true", help="a service of this user")
    service.add_argument("--print", action="store_true", help="only show it")
    validate = _add(commands, "validate", "check a configuration and its bundle")
    graph = _add(commands, "graph", "show streams, endpoints, policies and who reads them")
    for parser in (sensor, validate, graph):
        parser.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
        _add_set(parser)


def _add_model_commands(commands: Any) -> None:
    evaluation_command.add_arguments(commands)
    learning_command.add_arguments(commands)
    bench = _add(commands, "bench", "measure a run, or parts against raw ZeroMQ and plain files")
    parts = ["run", "engines", "camera", "transport", "readers", "log", "record"]
    bench.add_argument("what", choices=[*parts, *limit_command.WHATS])
    latency_command.add_run_arguments(bench)
    latency_command.add_engine_arguments(bench)
    limit_command.add_limit_arguments(bench)
    bench.add_argument("--frames", type=count, default=600, help="of camera, readers")
    bench.add_argument("--runs", type=count, default=5, help="of transport, readers, log, record")
    bench.add_argument(
        "--seconds", type=seconds, default=20.0, help="of each run of run and record"
    )
    compare = _add(commands, "compare-fusions", "train and measure each fusion (needs torch)")
    compare.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="default: the home")
    compare.add_argument("logs", nargs="*", type=Path, metavar="LOG", help="to train on")
    compare.add_argument("--judge", nargs="+", type=Path, metavar="LOG", help="logs to judge by")
    compare.add_argument("--seeds", type=count, default=1, help="how many, from --seed on")
    compare.add_argument("--out", type=Path, default=Path("runs/fusions"), help="for the bundles")
    compare.add_argument("--scenes", type=count, default=1000, help="without logs")
    compare.add_argument("--epochs", type=count, help="default: those of CONFIG, or 6")
    compare.add_argument("--seed", type=int, default=7)
    compare.add_argument("--only", nargs="+", choices=FUSIONS, default=FUSIONS, help="these")
    for parser in (bench, compare):
        _add_json(parser)


def _add_control_commands(commands: Any) -> None:
    _add(commands, "status", "show the processes of a run")
    _add(commands, "stop", "end a run")
    _add(commands, "trigger", "write the last and the next seconds into a file")
    for name, text in (
        ("mute", "switch a sensor off: its process ends, its device is free"),
        ("unmute", "switch a sensor on again"),
    ):
        _add(commands, name, text).add_argument("stream", help="as camera/door")
    monitor_command.add_arguments(commands)
    for name in ("status", "stop", "mute", "unmute", "trigger"):
        parser = commands.choices[name]
        parser.add_argument("--run", default="", help="name of the run, if several are running")
        parser.add_argument("--run-dir", type=Path, help="its directory, if it is not the default")
        _add_json(parser)


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override, repeatable"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
