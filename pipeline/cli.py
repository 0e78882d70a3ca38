"""The `sensorium` command."""

from __future__ import annotations

import argparse
import logging
import os
import select
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from engines.error import EngineError
from pipeline.arguments import parser
from pipeline.error import SensoriumError

if TYPE_CHECKING:
    from pipeline.config import Config, Remote
    from pipeline.sample import Frame
    from pipeline.summary import Truth

EXIT_INTERRUPTED = 130  # as a shell says it: 128 + SIGINT

# Each command imports what it needs, so that --help answers at once.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        arguments = parser().parse_args(argv)
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        code = COMMANDS[arguments.command](arguments)
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


def _demo(arguments: argparse.Namespace) -> int:
    from deploy.simulated_home import demo_config, truth
    from pipeline.record.command import with_file
    from pipeline.runner import run
    from pipeline.summary import Summary

    config = with_file(demo_config(arguments.set), arguments.record)
    summary = Summary(truth(config))
    if arguments.json:
        return _print_json(run(config, seconds=arguments.seconds, summary=summary))

    from pipeline.terminal import Screen, View, print_summary

    console = Screen()
    with View(console) as view:
        result = run(config, seconds=arguments.seconds, summary=summary, watch=view)
    print_summary(console, result)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from pipeline.record.command import with_file
    from pipeline.record.outcome import text
    from pipeline.runner import run
    from pipeline.summary import Summary

    config = with_file(_load(arguments), arguments.record)
    result = run(config, seconds=arguments.seconds, summary=Summary())
    if arguments.json:
        return _print_json(result)
    if "recording" in result:
        sys.stderr.write(text(result["recording"]) + "\n")  # stdout may be for predictions
    return 0


def _load(arguments: argparse.Namespace) -> Config:
    from pipeline.loader import load

    return load(arguments.config, arguments.set)


def _print_json(result: Any) -> int:
    import msgspec

    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 0


def _validate(arguments: argparse.Namespace) -> int:
    from engines.bundle import load_bundle
    from engines.compiled import CompiledBundle
    from pipeline.key import read_key
    from pipeline.node import choose_inputs
    from pipeline.record import plan

    config = _load(arguments)
    bundle = load_bundle(config.fusion.bundle)
    choose_inputs(config, bundle.manifest)
    plan.check(config)
    if config.needs_key:
        read_key()
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
        out.write(f"{line.source} -> {stream} [{line.policy}, {line.max_age_ms:g} ms]\n")
        readers = [] if line.is_remote else ["supervisor (health)"]
        readers += ["fusion node" if stream in fused else "fusion node (counted only)"]
        readers += ["relay"] if line.remote else []
        readers += [f"recorder, if any ({line.record})"] if line.record != "none" else []
        way = "" if not line.is_remote else " (CURVE)" if line.server_key else " (plain)"
        out.write(f"    {config.endpoint(stream)}{way} -> {', '.join(readers)}\n")
        if line.remote:
            out.write(f"    relay -> {line.remote.endpoint} ({_how(line.remote)})\n")
    out.write(f"fusion node [{config.fusion.bundle}, {config.fusion.backend}]\n")
    out.write(f"    {config.predictions_endpoint} -> supervisor\n")
    if config.out.jsonl:
        out.write(f"    -> {config.out.jsonl} (JSON lines)\n")
    out.write(f"control: {config.control_endpoint}\n")
    return 0


def _how(remote: Remote) -> str:
    """In which form a stream leaves this host, and for whom."""
    form = f"jpeg {remote.jpeg_quality}" if remote.jpeg_quality else "raw"
    return f"{form}, CURVE, {len(remote.allow)} keys" if remote.allow else f"{form}, plain"


def _keys(_: argparse.Namespace) -> int:
    from pipeline.key import key_path, make_key, read_key

    if make_key():
        sys.stderr.write(f"made {key_path()}\n")
    sys.stdout.write(read_key().public.decode() + "\n")
    return 0


def _sensor(arguments: argparse.Namespace) -> int:
    from pipeline.runner import stop_on_signals
    from sensors.process import publish

    config = _load(arguments)
    if arguments.stream not in config.streams:
        raise SensoriumError(f"no stream {arguments.stream!r}: {', '.join(config.streams)}")
    if arguments.stream not in config.sensors:
        where = config.streams[arguments.stream].source
        raise SensoriumError(f"{arguments.stream}: source = {where!r}: it has no sensor here")
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
    from pipeline import bench_camera, bench_transport
    from pipeline.log import bench as bench_log
    from pipeline.record import bench as bench_record

    if arguments.what == "log":
        result = bench_log.bench_log(arguments.runs, _vga_frames(n=60))
        shown = bench_log.text(result)
    elif arguments.what == "record":
        result = bench_record.bench_record(arguments.runs, arguments.seconds)
        shown = bench_record.text(result)
    elif arguments.what == "camera":
        result = bench_camera.bench_camera(arguments.frames)
        shown = bench_camera.text(result)
    else:
        result = bench_transport.bench_transport(arguments.runs, bench_transport.Sizes())
        shown = bench_transport.text(result)
    if arguments.json:
        return _print_json(result)
    sys.stdout.write(shown + "\n")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from pipeline.record.command import record

    return record(arguments)


def _replay(arguments: argparse.Namespace) -> int:
    from pipeline.replay.command import replay

    return replay(arguments)


def _vga_frames(n: int) -> list[Frame]:
    from sensors.simulator import Home, frames

    made = frames(Home(seed=1), stream="camera/a", rate_hz=30, start_ns=0, size_px=(640, 480))
    return list(islice(made, n))


def _control(arguments: argparse.Namespace) -> int:
    from pipeline.control import find_run, request

    run_dir = arguments.run_dir or find_run(arguments.run)
    reply = request(run_dir, arguments.command, getattr(arguments, "stream", ""))
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


def _info(arguments: argparse.Namespace) -> int:
    from pipeline.log.command import info

    return info(arguments)


def _repair(arguments: argparse.Namespace) -> int:
    from pipeline.log.command import repair

    return repair(arguments)


def _import(arguments: argparse.Namespace) -> int:
    from pipeline.exchange.command import bring_in

    return bring_in(arguments)


def _export(arguments: argparse.Namespace) -> int:
    from pipeline.exchange.command import give_out

    return give_out(arguments)


def _label(arguments: argparse.Namespace) -> int:
    from pipeline.label.command import label

    def truth_of(config: Config) -> Truth:
        from deploy.simulated_home import truth

        return truth(config)

    return label(arguments, truth_of)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "run": _run,
    "validate": _validate,
    "graph": _graph,
    "sensor": _sensor,
    "keys": _keys,
    "evaluate": _evaluate,
    "train": _train,
    "bench": _bench,
    "info": _info,
    "repair": _repair,
    "status": _control,
    "stop": _control,
    "mute": _control,
    "unmute": _control,
    "trigger": _control,
    "record": _record,
    "replay": _replay,
    "import": _import,
    "export": _export,
    "label": _label,
}


if __name__ == "__main__":
    sys.exit(main())
