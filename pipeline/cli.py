"""The `sensorium` command."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.error import SensoriumError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.summary import Truth

# Each command imports what it needs, so that --help answers at once.

SETTLED_S = 1.5  # after this much of a scene every window lies within it


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

    demo = commands.add_parser("demo", help="watch a simulated home being understood")
    demo.set_defaults(command=_demo)
    _add_run_options(demo)

    run = commands.add_parser("run", help="run a configuration until Ctrl-C")
    run.set_defaults(command=_run)
    _add_config(run)
    _add_run_options(run)

    for name, command, text in (
        ("validate", _validate, "check a configuration, its bundle and its files"),
        ("graph", _graph, "show streams, endpoints, policies and who reads them"),
    ):
        check = commands.add_parser(name, help=text)
        check.set_defaults(command=command)
        _add_config(check)

    sensor = commands.add_parser("sensor", help="run one sensor alone, publishing on its endpoint")
    sensor.set_defaults(command=_sensor)
    sensor.add_argument("stream", help="as camera/door")
    _add_config(sensor)

    for name, text in (
        ("status", "show the processes of a run"),
        ("stop", "end a run"),
        ("mute", "switch a sensor off: its process ends"),
        ("unmute", "switch it on again"),
    ):
        control = commands.add_parser(name, help=text)
        control.set_defaults(command=_control, request=name, stream="")
        if name.endswith("mute"):
            control.add_argument("stream", help="as camera/door")
        control.add_argument("--run", default="", help="name of the run, if several are running")
        control.add_argument("--run-dir", type=Path, help="its directory, if it is not the default")
        control.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    _add_set(parser)


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override, repeatable"
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    if parser.prog.endswith("demo"):
        _add_set(parser)
    parser.add_argument("--seconds", type=float, help="stop so long after the first prediction")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def _demo(arguments: argparse.Namespace) -> int:
    import deploy
    from pipeline.config import load
    from pipeline.runner import run
    from pipeline.summary import Summary

    config = load(Path(deploy.__file__).parent / "config" / "demo.toml", arguments.set)
    summary = Summary(_truth(config))
    if arguments.json:
        return _print_json(run(config, seconds=arguments.seconds, summary=summary))

    from rich.console import Console

    from pipeline.terminal import View, print_summary

    console = Console()
    with View(console) as view:
        result = run(config, seconds=arguments.seconds, summary=summary, watch=view)
    print_summary(console, result)
    return 0


def _truth(config: Config) -> Truth:
    """What the simulated home hides. Only this score reads it."""
    from sensors.simulator import Home

    home = Home(seed=config.simulator.seed)

    def truth(t_ns: int) -> str | None:
        scene = home.scene_at(t_ns)
        return scene.label if t_ns - scene.start_ns > SETTLED_S * 1e9 else None

    return truth


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


def _control(arguments: argparse.Namespace) -> int:
    from pipeline.control import find_run, request

    run_dir = arguments.run_dir or find_run(arguments.run)
    reply = request(run_dir, arguments.request, arguments.stream)
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
