"""`sensorium bench sweep`, `overload`, `node` and `start`: where the limits of a machine lie."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.quantity import count, positive

if TYPE_CHECKING:
    from pipeline.child import Stop
    from pipeline.latency.sweep import Ask, Point, Sweep

EXIT_BROKEN = 1
WHATS = ("sweep", "overload", "node", "start")
Found: TypeAlias = "tuple[dict[str, Any], str]"


def add_limit_arguments(bench: Any) -> None:
    """Add those of the four; they share --json, --html and --bundle with the other benchmarks."""
    group = bench.add_argument_group("sweep, overload: how much this machine can take")
    group.add_argument("--cameras", nargs="+", type=count, default=[1, 2, 4], metavar="N")
    group.add_argument(
        "--sizes", nargs="+", type=_size, default=[(640, 480)], metavar="WxH", help="of pictures"
    )
    group.add_argument(
        "--deadline",
        type=positive,
        default=50.0,
        metavar="MS",
        help="from tick to prediction",
    )
    group.add_argument("--each", type=positive, default=3.0, metavar="S", help="of one load")
    group = bench.add_argument_group("node, start: the node alone, and the way to its first word")
    group.add_argument("--ticks", type=count, default=1000, metavar="N", help="of node")
    group.add_argument("--starts", type=count, default=10, metavar="N", help="of start TARGET")


def bench_limits(arguments: argparse.Namespace) -> int:
    """Run one of the four; exit code 1 if a bound is broken. Raises SensoriumError, EngineError."""
    import msgspec

    from pipeline.runner import stop_on_signals

    measure = {"sweep": _sweep, "overload": _overload, "node": _node, "start": _start}
    found, text = measure[arguments.what](arguments, stop_on_signals())
    shown = msgspec.json.encode(found).decode() if arguments.json else text
    sys.stdout.write(shown + "\n")
    for line in found.get("broken", []):
        sys.stderr.write(f"broken: {line}\n")
    return EXIT_BROKEN if found.get("broken") else 0


def _bundle(arguments: argparse.Namespace) -> str:
    return str(arguments.bundle or "home")


def _asked(arguments: argparse.Namespace, stop: Stop) -> Ask:
    from pipeline.latency.sweep import Ask

    return Ask(
        bundle=_bundle(arguments), deadline_ms=arguments.deadline, seconds=arguments.each, stop=stop
    )


def _swept(arguments: argparse.Namespace, ask: Ask, cameras: list[int]) -> Sweep:
    from pipeline.latency import sweep

    def told(point: Point) -> None:
        if not arguments.json:
            sys.stderr.write(sweep.point_text(point) + "\n")

    return sweep.run_sweep(list(sweep.lines(cameras, arguments.sizes)), ask, told)


def _sweep(arguments: argparse.Namespace, stop: Stop) -> Found:
    from pipeline.latency import sweep
    from pipeline.latency.sweep_page import write_sweep_page

    ask = _asked(arguments, stop)
    swept = _swept(arguments, ask, arguments.cameras)
    found = sweep.result(swept, ask)
    if arguments.html:
        write_sweep_page(arguments.html, found)
    return found, sweep.text(swept, ask)


def _overload(arguments: argparse.Namespace, stop: Stop) -> Found:
    """The capacity of one camera is swept in the same run."""
    from pipeline.latency import overload, sweep

    ask = _asked(arguments, stop)
    swept = _swept(arguments, ask, [1])
    found = overload.run_overload(swept.capacity[0].load, ask)
    found["sweep"] = sweep.result(swept, ask)
    return found, f"{sweep.text(swept, ask)}\n{overload.text(found)}"


def _node(arguments: argparse.Namespace, _: Stop) -> Found:
    from pipeline.latency import node_cost

    found = node_cost.bench_node(arguments.ticks, _bundle(arguments))
    return found, node_cost.text(found)


def _start(arguments: argparse.Namespace, stop: Stop) -> Found:
    from pipeline.error import SensoriumError
    from pipeline.latency import cold_start
    from pipeline.loader import load

    if not arguments.target:
        raise SensoriumError("bench start: start what? name a TOML file")
    file = Path(arguments.target)
    found = cold_start.bench_start(file, load(file), arguments.starts, stop)
    return found, cold_start.text(found)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write a size as 640x480")
    return int(match[1]), int(match[2])
