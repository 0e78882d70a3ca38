"""`sensorium chaos`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.quantity import number

EXIT_BROKEN = 1


def add_arguments(commands: Any) -> None:
    """Add `chaos`."""
    text = "put faults into a run of its own, and measure how it copes"
    made = commands.add_parser("chaos", help=text, description=text)
    made.set_defaults(command="chaos")
    made.add_argument("plan", type=Path, metavar="PLAN", help="a TOML file")
    made.add_argument(
        "--minutes",
        type=number("number of minutes above 0"),
        metavar="M",
        help="over and over for so long",
    )
    made.add_argument("--json", action="store_true", help="end with one line of JSON")


def chaos(arguments: argparse.Namespace) -> int:
    """Run `sensorium chaos`; exit code 1 if a bound is broken. Raises SensoriumError."""
    import msgspec

    from pipeline.chaos.experiment import Experiment
    from pipeline.chaos.plan import load_plan
    from pipeline.chaos.report import text
    from pipeline.progress import progress
    from pipeline.runner import stop_on_signals

    plan, config = load_plan(arguments.plan)
    stop = stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        experiment = Experiment(plan, config, Path(folder))
        length_s = max(fault.end_s for fault in experiment.rounds(arguments.minutes))
        with progress("chaos", length_s) as advance:
            result = experiment.run(arguments.minutes, stop, advance)
    shown = msgspec.json.encode(result).decode() if arguments.json else text(result)
    sys.stdout.write(shown + "\n")
    for line in result["broken"]:
        sys.stderr.write(f"broken: {line}\n")
    return EXIT_BROKEN if result["broken"] else 0
