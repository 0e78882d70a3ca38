"""`sensorium bench run` and `sensorium trace`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.quantity import seconds_or_none, whole

if TYPE_CHECKING:
    from pipeline.child import Stop
    from pipeline.config import Config
    from pipeline.latency.live_run import Outcome

EXIT_OVER_BUDGET = 1
DEMO = "demo"
TRACED_S = 10.0
DemoConfig: TypeAlias = "Callable[[Sequence[str]], Config]"


def add_run_arguments(bench: Any) -> None:
    """Add those of `bench run`; it shares --seconds and --json with the other benchmarks."""
    bench.add_argument(
        "target", nargs="?", metavar="TARGET", help="of run: a TOML file, a log, or demo"
    )
    group = bench.add_argument_group("run: where the time from the sensor to the prediction goes")
    group.add_argument("--flat", action="store_true", help="a log as fast as it computes")
    group.add_argument(
        "--warm-up",
        type=seconds_or_none,
        default=1.0,
        metavar="S",
        help="not counted",
    )
    group.add_argument("--hlog", type=Path, metavar="FILE", help="write HDR histograms")
    group.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    group.add_argument("--budget", type=Path, metavar="FILE", help="exit with 1 if it is broken")
    group.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="two TOML files, bundles, or results of --json: how much slower is B?",
    )
    group.add_argument(
        "--rounds",
        type=whole("number of rounds, at least 4", 4),
        default=16,
        metavar="N",
        help="of --compare (default 16)",
    )
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override")


def add_engine_arguments(bench: Any) -> None:
    """Add those of `bench engines`."""
    group = bench.add_argument_group("engines: each graph on each backend that is installed")
    group.add_argument("--bundle", metavar="B", help="its graphs; default: every encoder (torch)")
    group.add_argument("--encoders", nargs="+", metavar="E", help="these, as image/resnet50")
    group.add_argument("--size-px", type=int, default=224, help="of pictures; default: 224")
    group.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    group.add_argument("--rounds-each", type=int, default=120, metavar="N", help="calls of each")
    group.add_argument("--period-ms", type=float, default=20.0, metavar="T", help="between calls")


def add_arguments(commands: Any) -> None:
    """Add `trace`."""
    text = "draw predictions, stage by stage, for Perfetto (ui.perfetto.dev)"
    made = commands.add_parser("trace", help=text, description=text)
    made.set_defaults(command="trace")
    made.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a log that holds predictions, or the TOML file of a run that is going",
    )
    made.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="as trace.json")
    made.add_argument(
        "--start",
        type=seconds_or_none,
        default=0.0,
        metavar="S",
        help="of a log",
    )
    made.add_argument(
        "--duration",
        type=seconds_or_none,
        metavar="S",
        help="for so long; of a run 10 s, or until Ctrl-C",
    )


def trace(arguments: argparse.Namespace) -> int:
    """Run `sensorium trace`. Raises SensoriumError."""
    from pipeline.latency.trace import trace_events, write_trace
    from pipeline.log.reader import LogReader
    from pipeline.replay.part import Choice, Part

    if arguments.file.suffix == ".toml":
        n = _trace_run(arguments)
    else:
        choice = Choice(start_s=arguments.start, duration_s=arguments.duration)
        with LogReader(arguments.file) as log:
            n = write_trace(arguments.out, trace_events(Part(log, choice)))
    sys.stdout.write(f"{arguments.out}: {n} events; open it in ui.perfetto.dev\n")
    return 0


def _trace_run(arguments: argparse.Namespace) -> int:
    from pipeline.latency.live_trace import run_events
    from pipeline.latency.trace import write_trace
    from pipeline.loader import load
    from pipeline.runner import stop_on_signals

    seconds = TRACED_S if arguments.duration is None else arguments.duration
    events = run_events(load(arguments.file), seconds, stop_on_signals())
    return write_trace(arguments.out, events)


def bench_run(arguments: argparse.Namespace, demo_config: DemoConfig) -> int:
    """Run `sensorium bench run`. Raises SensoriumError, EngineError."""
    from pipeline.latency import budget as budgets
    from pipeline.latency.histogram import new_counts, write_log
    from pipeline.latency.page import write_page
    from pipeline.latency.result import histograms, result, text
    from pipeline.runner import stop_on_signals

    stop = stop_on_signals()
    if arguments.compare:
        return _compare(arguments, demo_config, stop)
    limits = budgets.read_budget(arguments.budget) if arguments.budget else None
    new_counts()  # said before anything is started, if the library is missing
    outcome = _measure(arguments, demo_config, stop)
    found = result(outcome)
    if arguments.hlog:
        write_log(arguments.hlog, histograms(outcome.measured), outcome.wall_s)
    if arguments.html:
        write_page(arguments.html, found)
    broken = budgets.breaches(limits, found) if limits else []
    if limits:
        found["over_budget"] = [str(breach) for breach in broken]
    _print(found, text(found), arguments.json)
    for breach in broken:
        sys.stderr.write(f"over budget: {breach}\n")
    return EXIT_OVER_BUDGET if broken else 0


def _measure(arguments: argparse.Namespace, demo_config: DemoConfig, stop: Stop) -> Outcome:
    from pipeline.error import SensoriumError
    from pipeline.latency.flat_run import FlatRun
    from pipeline.latency.live_run import measure_live, measure_paced

    seconds, warm_up_s = arguments.seconds, arguments.warm_up
    if not arguments.target:
        raise SensoriumError("bench run: measure what? name a TOML file, a log, or demo")
    if _is_log(arguments.target):
        file = Path(arguments.target)
        if arguments.flat:
            return FlatRun(file, arguments.set).measure(seconds, warm_up_s, stop)
        return measure_paced(file, arguments.set, (seconds, warm_up_s), stop)
    if arguments.flat:
        raise SensoriumError("--flat is for logs: sensors have a time of their own")
    return measure_live(
        _config(arguments.target, demo_config, arguments.set), seconds, warm_up_s, stop
    )


def _compare(arguments: argparse.Namespace, demo_config: DemoConfig, stop: Stop) -> int:
    from pipeline.error import SensoriumError
    from pipeline.latency import compare

    a, b = arguments.compare
    target, sets = arguments.target or DEMO, arguments.set
    plan = compare.Plan(
        rounds=arguments.rounds, seconds=arguments.seconds, warm_up_s=arguments.warm_up, stop=stop
    )
    if arguments.budget or arguments.hlog or arguments.html:
        raise SensoriumError("--compare prints ratios; --budget, --hlog and --html are of one run")
    if a.endswith(".json") and b.endswith(".json"):
        found = compare.compare_results(Path(a), Path(b))
    elif _is_log(target):
        file = Path(target)
        found = compare.compare_flat(
            (a, b), lambda side: compare.flat_run_of_side(side, file, sets), plan
        )
    else:
        of_target = partial(_config, target, demo_config)
        found = compare.compare_live(
            (a, b), lambda side: compare.config_of_side(side, of_target, sets), plan
        )
    _print(found, compare.text(found), arguments.json)
    return 0


def _config(target: str, demo_config: DemoConfig, sets: Sequence[str]) -> Config:
    from pipeline.loader import load

    return demo_config(sets) if target == DEMO else load(Path(target), sets)


def _is_log(target: str) -> bool:
    return target.endswith(".mcap")


def _print(found: dict[str, Any], text: str, as_json: bool) -> None:
    import msgspec

    sys.stdout.write((msgspec.json.encode(found).decode() if as_json else text) + "\n")
