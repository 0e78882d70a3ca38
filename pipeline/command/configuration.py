"""`sensorium validate`, `graph`, `keys` and `sensor`: a configuration, without a run of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from engines.bundle import find_bundle, load_bundle, read_manifest
from pipeline.bus.key import key_path, make_key, read_key
from pipeline.child import Stop
from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.loader import load
from pipeline.stream import Remote


def validate(arguments: argparse.Namespace) -> int:
    """Check all that can be wrong before a start. Raises SensoriumError, EngineError."""
    from engines.compiled import CompiledBundle
    from engines.index import read_index
    from pipeline.home.check import check_start
    from pipeline.node import choose_inputs
    from pipeline.record import plan

    config = load(arguments.config, arguments.set)
    bundle = load_bundle(config.fusion.bundle)
    choose_inputs(config, bundle.manifest)
    plan.check(config)
    check_start(config)
    if config.needs_key:
        read_key()
    if config.fusion.index:
        read_index(Path(config.fusion.index), bundle.manifest)
    CompiledBundle(bundle, config.fusion.backend, config.fusion.options).close()
    sys.stdout.write(f"{arguments.config}: valid, {len(config.streams)} streams\n")
    return 0


def graph(arguments: argparse.Namespace) -> int:
    """Show who publishes what to whom. Raises SensoriumError, EngineError."""
    from pipeline.home.plan import outlet_lines
    from pipeline.node import choose_inputs

    config = load(arguments.config, arguments.set)
    inputs = choose_inputs(config, read_manifest(find_bundle(config.fusion.bundle)))
    fused = {stream for streams in inputs.values() for stream in streams}
    out = sys.stdout
    for stream in config.streams:
        out.writelines(f"{line}\n" for line in _stream_lines(config, stream, stream in fused))
    out.write(f"fusion node [{config.fusion.bundle}, {config.fusion.backend}]\n")
    out.write(f"    {config.predictions_endpoint} -> supervisor\n")
    if config.out.jsonl:
        out.write(f"    -> {config.out.jsonl} (JSON lines)\n")
    out.writelines(f"{line}\n" for line in outlet_lines(config))
    out.write(f"control: {config.control_endpoint}\n")
    return 0


def _stream_lines(config: Config, stream: str, is_fused: bool) -> list[str]:
    line = config.streams[stream]
    readers = [] if line.is_remote else ["supervisor (health)"]
    readers += ["fusion node" if is_fused else "fusion node (counted only)"]
    readers += ["relay"] if line.remote else []
    readers += [f"recorder, if any ({line.record})"] if line.record != "none" else []
    way = "" if not line.is_remote else " (CURVE)" if line.server_key else " (plain)"
    lines = [
        f"{line.source} -> {stream} [{line.policy}, {line.max_age_ms:g} ms]",
        f"    {config.endpoint(stream)}{way} -> {', '.join(readers)}",
    ]
    if line.remote:
        lines.append(f"    relay -> {line.remote.endpoint} ({_how(line.remote)})")
    return lines


def _how(remote: Remote) -> str:
    """In which form a stream leaves this host, and for whom."""
    form = f"jpeg {remote.jpeg_quality}" if remote.jpeg_quality else "raw"
    return f"{form}, CURVE, {len(remote.allow)} keys" if remote.allow else f"{form}, plain"


def keys(_: argparse.Namespace) -> int:
    """Make this user's key if there is none; show the public one. Raises SensoriumError."""
    if make_key():
        sys.stderr.write(f"made {key_path()}\n")
    sys.stdout.write(read_key().public.decode() + "\n")
    return 0


def sensor(arguments: argparse.Namespace, publish: Callable[[Config, str, Stop], None]) -> int:
    """Run one sensor alone, as `publish` does it. Raises SensoriumError."""
    from pipeline.runner import stop_on_signals

    config = load(arguments.config, arguments.set)
    if arguments.stream not in config.streams:
        raise SensoriumError(f"no stream {arguments.stream!r}: {', '.join(config.streams)}")
    if arguments.stream not in config.sensors:
        where = config.streams[arguments.stream].source
        raise SensoriumError(f"{arguments.stream}: source = {where!r}: it has no sensor here")
    publish(config, arguments.stream, stop_on_signals())
    return 0
