"""`sensorium compile` and `sensorium engines`: engines that are built ahead, and their cache."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.quantity import whole

if TYPE_CHECKING:
    from engines.options import EngineOptions
    from engines.tensorrt.cache import Cache

EXIT_WRONG = 1
MB = 1 << 20

log = logging.getLogger(__name__)


def add_arguments(commands: Any) -> None:
    """Add `compile` and `engines`."""
    text = "build the engines of a bundle ahead, so that a start does not wait for them"
    made = commands.add_parser("compile", help=text, description=text)
    made.set_defaults(command="compile")
    made.add_argument("bundle", metavar="BUNDLE", help="a shipped bundle or a folder")
    # The names come from pipeline.config, which --help need not wait for: they are checked later.
    made.add_argument("--backend", required=True, help="tensorrt, or tensorrt-rtx without a GPU")
    made.add_argument("--precision", default="fp32", help="fp32 (default), tf32, fp16 or int8")
    _add_cache(made)
    text = "list, build, prune or verify built engines"
    engines = commands.add_parser("engines", help=text, description=text)
    engines.set_defaults(command="engines")
    whats = engines.add_subparsers(required=True, metavar="WHAT", dest="what")
    _add_cache(whats.add_parser("list", help="show the engines in the cache"))
    build = whats.add_parser("build", help="build what a configuration needs")
    build.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    build.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override")
    prune = whats.add_parser("prune", help="remove remains, and what was not used for longest")
    prune.add_argument(
        "--max-mb",
        type=whole("whole number of megabytes", 0),
        default=4096,
        help="keep so much; default 4096",
    )
    _add_cache(prune)
    _add_verify(whats.add_parser("verify", help="check the cache, or accuracy on a recording"))


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", default="", metavar="DIR", help="in place of the user's")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", type=Path, metavar="FILE", help="your recording, against fp32")
    parser.add_argument("--config", type=Path, metavar="FILE", help="in place of the log's own")
    parser.add_argument("--bundle", help="in place of the configuration's")
    parser.add_argument("--backend", help="in place of the configuration's")
    parser.add_argument("--precision", help="in place of the configuration's")
    _add_cache(parser)


def compile_bundle(arguments: argparse.Namespace) -> int:
    """`sensorium compile`. Raises SensoriumError, EngineError."""
    from engines.options import EngineOptions

    options = EngineOptions(precision=arguments.precision, cache=arguments.cache)
    return _build(arguments.bundle, arguments.backend, options, arguments.json)


def engines(arguments: argparse.Namespace) -> int:
    """`sensorium engines`. Raises SensoriumError, EngineError."""
    return {"list": _list, "build": _build_for, "prune": _prune, "verify": _verify}[arguments.what](
        arguments
    )


def _build_for(arguments: argparse.Namespace) -> int:
    from pipeline.loader import load

    fusion = load(arguments.config, arguments.set).fusion
    return _build(fusion.bundle, fusion.backend, fusion.options, False)


def _build(name: str, backend: str, options: EngineOptions, as_json: bool) -> int:
    from engines.ahead import BUILT, build_all, missing
    from engines.bundle import load_bundle
    from engines.error import EngineError
    from engines.progress import LogLines

    if backend not in BUILT:
        raise EngineError(
            f"backend {backend!r}: it loads the bundle as it is; those that build engines are"
            f" {', '.join(BUILT)}"
        )
    bundle, started_s = load_bundle(name), time.monotonic()
    lacking = missing(bundle, backend, options)
    build_all(bundle, backend, options, LogLines())
    took_s = round(time.monotonic() - started_s, 1)
    found = {"bundle": name, "backend": backend, "built": lacking, "seconds": took_s}
    built = f"built {', '.join(lacking)} in {took_s} s" if lacking else "all was built before"
    return _say(f"{name} for {backend}: {built}", found if as_json else None)


def _list(arguments: argparse.Namespace) -> int:
    entries = _cache(arguments).entries()
    lines = [
        f"{e.sidecar.key.digest[:12]}  {e.sidecar.source:16} {e.sidecar.key.precision:5}"
        f" {e.sidecar.key.backend} {e.sidecar.key.version}, {e.sidecar.key.gpu or 'any GPU'},"
        f" {e.sidecar.plan_bytes / MB:.1f} MB, built in {e.sidecar.build_s:.1f} s"
        + (f"  WRONG: {e.wrong}" if e.wrong else "")
        for e in entries
    ]
    return _say("\n".join(lines) or "no engines", entries if arguments.json else None)


def _prune(arguments: argparse.Namespace) -> int:
    removed = _cache(arguments).prune(arguments.max_mb * MB)
    return _say(f"removed {len(removed)} engines", removed if arguments.json else None)


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.log:
        return _verify_log(arguments)
    entries = _cache(arguments).entries()
    wrong = [entry for entry in entries if entry.wrong]
    lines = [f"{e.sidecar.key.digest[:12]} {e.sidecar.source}: {e.wrong}" for e in wrong]
    lines.append(f"{len(entries)} engines, {len(wrong)} wrong")
    _say("\n".join(lines), entries if arguments.json else None)
    return EXIT_WRONG if wrong else 0


def _verify_log(arguments: argparse.Namespace) -> int:
    from pipeline.building.agreement import agreement
    from pipeline.log.reader import LogReader
    from pipeline.replay.settings import replay_config

    overrides = [f"fusion.engine_cache={arguments.cache}"] if arguments.cache else []
    for key in ("bundle", "backend", "precision"):
        if value := getattr(arguments, key):
            overrides.append(f"fusion.{key}={value}")
    with LogReader(arguments.log) as reader:
        config = replay_config(reader, arguments.config, {}, overrides)
    found = agreement(arguments.log, config)
    lines = [
        f"{head}: {each['agreement']:.2%} of {found['predictions']} predictions agree with"
        f" {found['reference']}; numbers differ by {each['largest_difference']:.2g} at most"
        for head, each in found["heads"].items()
    ]
    lines += [] if found["passed"] else [f"refused: under {found['least_agreement']:.0%}"]
    _say("\n".join(lines), found if arguments.json else None)
    return 0 if found["passed"] else EXIT_WRONG


def _cache(arguments: argparse.Namespace) -> Cache:
    from engines.tensorrt.cache import Cache

    return Cache(arguments.cache)


def _say(text: str, result: Any) -> int:
    import msgspec

    shown = text if result is None else msgspec.json.encode(result).decode()
    sys.stdout.write(shown + "\n")
    return 0
