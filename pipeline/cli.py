"""The `sensorium` command."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.error import SensoriumError

if TYPE_CHECKING:
    from pipeline.config import Config

Command: TypeAlias = "Callable[[argparse.Namespace], int]"

# Each command imports what it needs, so that --help answers at once.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        code: int = arguments.command(arguments)
    except SensoriumError as error:
        return _fail(error)
    except Exception as error:
        from engines.error import EngineError

        if isinstance(error, EngineError):
            return _fail(error)
        raise
    return code


def _fail(error: Exception) -> int:
    sys.stderr.write(f"sensorium: {error}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sensorium", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run_commands(commands)
    _add_config_commands(commands)
    _add_model_commands(commands)
    _add_control_commands(commands)
    return parser


def _add(commands: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _add_run_commands(commands: Any) -> None:
    demo = _add(commands, "demo", _demo, "watch a simulated home being understood")
    run = _add(commands, "run", _run, "run a configuration until Ctrl-C")
    run.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    for parser in (demo, run):
        _add_set(parser)
        _add_json(parser)
        parser.add_argument("--seconds", type=float, help="stop so long after the first prediction")


def _add_config_commands(commands: Any) -> None:
    sensor = _add(commands, "sensor", _sensor, "run one sensor alone, publishing on its endpoint")
    sensor.add_argument("stream", help="as camera/door")
    validate = _add(commands, "validate", _validate, "check a configuration and its bundle")
    graph = _add(commands, "graph", _graph, "show streams, endpoints, policies and who reads them")
    for parser in (sensor, validate, graph):
        parser.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
        _add_set(parser)


def _add_model_commands(commands: Any) -> None:
    evaluate = _add(commands, "evaluate", _evaluate, "measure accuracy on unseen simulated scenes")
    evaluate.add_argument("--bundle", default="home", help="a shipped bundle or a folder")
    evaluate.add_argument("--scenes", type=int, default=1000)
    evaluate.add_argument("--seed", type=int, default=2026)
    bench = _add(commands, "bench", _bench, "measure the pipeline against raw ZeroMQ")
    bench.add_argument("what", choices=["camera"])
    bench.add_argument("--frames", type=int, default=600)
    train = _add(commands, "train", _train, "train a bundle on the simulator (needs torch)")
    train.add_argument("--scenes", type=int, default=14_000)
    train.add_argument("--seed", type=int, default=7)
    train.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    for parser in (evaluate, bench):
        _add_json(parser)


def _add_control_commands(commands: Any) -> None:
    _add(commands, "status", _control, "show the processes of a run")
    _add(commands, "stop", _control, "end a run")
    for name, text in (
        ("mute", "switch a sensor off: its process ends, its device is free"),
        ("unmute", "switch a sensor on again"),
    ):
        _add(commands, name, _control, text).add_argument("stream", help="as camera/door")
    for name in ("status", "stop", "mute", "unmute"):
        parser = commands.choices[name]
        parser.set_defaults(request=name)
        parser.add_argument("--run", default="", help="name of the run, if several are running")
        parser.add_argument("--run-dir", type=Path, help="its directory, if it is not the default")
        _add_json(parser)


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override, repeatable"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def _demo(arguments: argparse.Namespace) -> int:
    from deploy.simulated_home import demo_config, truth
    from pipeline.runner import run
    from pipeline.summary import Summary

    config = demo_config(arguments.set)
    summary = Summary(truth(config))
    if arguments.json:
        return _print_json(run(config, seconds=arguments.seconds, summary=summary))

    from rich.console import Console

    from pipeline.terminal import View, print_summary

    console = Console()
    with View(console) as view:
        result = run(config, seconds=arguments.seconds, summary=summary, watch=view)
    print_summary(console, result)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from pipeline.runner import run
    from pipeline.summary import Summary

    config = _load(arguments)
    result = run(config, seconds=arguments.seconds, summary=Summary())
    return _print_json(result) if arguments.json else 0


def _load(arguments: argparse.Namespace) -> Config:
    from pipeline.config import load

    return load(arguments.config, arguments.set)


def _print_json(result: Any) -> int:
    import msgspec

    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 0


def _validate(arguments: argparse.Namespace) -> int:
    from engines.bundle import load_bundle
    from engines.compiled import CompiledBundle
    from pipeline.node import choose_inputs

    config = _load(arguments)
    bundle = load_bundle(config.fusion.bundle)
    choose_inputs(config, bundle.manifest)
    CompiledBundle(bundle, config.fusion.backend).close()
    sys.stdout.write(f"{arguments.config}: valid, {len(config.streams)} streams\n")
    return 0


def _graph(arguments: argparse.Namespace) -> int:
    from engines.bundle import find_bundle, read_manifest
    from pipeline.node import choose_inputs

    config = _load(arguments)
    inputs = choose_inputs(config, read_manifest(find_bundle(config.fusion.bundle)))
    fused = {stream for streams in inputs.values() for stream in streams}
    out = sys.stdout
    for stream, line in config.streams.items():
        source = "stdin" if line.source == "stdin" else line.source
        out.write(f"{source} -> {stream} [{line.policy}, {line.max_age_ms:g} ms]\n")
        out.write(f"    {config.endpoint(stream)} -> supervisor (health)")
        out.write(", fusion node\n" if stream in fused else ", fusion node (counted only)\n")
    out.write(f"fusion node [{config.fusion.bundle}, {config.fusion.backend}]\n")
    out.write(f"    {config.predictions_endpoint} -> supervisor\n")
    if config.out.jsonl:
        out.write(f"    -> {config.out.jsonl} (JSON lines)\n")
    out.write(f"control: {config.control_endpoint}\n")
    return 0


def _sensor(arguments: argparse.Namespace) -> int:
    from pipeline.runner import stop_on_signals
    from sensors.process import publish

    config = _load(arguments)
    if arguments.stream not in config.streams:
        raise SensoriumError(f"no stream {arguments.stream!r}: {', '.join(config.streams)}")
    publish(config, arguments.stream, stop_on_signals())
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from deploy.simulated_home import accuracy
    from pipeline.evaluation import table

    found = accuracy(arguments.bundle, n_scenes=arguments.scenes, seed=arguments.seed)
    if arguments.json:
        return _print_json(found)
    sys.stdout.write(f"{arguments.scenes} unseen scenes\n{table(found)}\n")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    try:
        import torch
    except ImportError as error:
        raise SensoriumError("training needs torch: pip install 'sensorium[train]'") from error
    from deploy.simulated_home import train_bundle

    torch.set_num_threads(os.cpu_count() or 1)
    train_bundle(arguments.out, n_scenes=arguments.scenes, seed=arguments.seed)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from pipeline.bench import bench_camera, text

    result = bench_camera(arguments.frames)
    if arguments.json:
        return _print_json(result)
    sys.stdout.write(text(result) + "\n")
    return 0


def _control(arguments: argparse.Namespace) -> int:
    from pipeline.control import find_run, request

    run_dir = arguments.run_dir or find_run(arguments.run)
    reply = request(run_dir, arguments.request, getattr(arguments, "stream", ""))
    if arguments.json:
        return _print_json(reply)
    for process in reply.processes:
        counts = " ".join(f"{name}={count}" for name, count in process.counters.items())
        error = f" last_error={process.last_error!r}" if process.last_error else ""
        sys.stdout.write(
            f"{process.name} pid={process.pid} state={process.state}"
            f" restarts={process.restarts}{error} {counts}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
