"""`sensorium status` and `sensorium top`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_arguments(commands: Any) -> None:
    """Add `top`; `status` is one of the control commands."""
    text = "watch a run: processes, streams, and why it predicts what it does"
    made = commands.add_parser("top", help=text, description=text)
    made.set_defaults(command="top")
    made.add_argument("--once", action="store_true", help="one screen, after a second")
    made.add_argument("--run", default="", help="name of the run, if several are running")
    made.add_argument("--run-dir", type=Path, help="its directory, if it is not the default")


def status(arguments: argparse.Namespace) -> int:
    """Run `sensorium status`. Raises ControlError."""
    import msgspec

    from pipeline.control import find_run, request
    from pipeline.monitor.table import rows, text
    from pipeline.monitor.usage import Meter

    reply = request(arguments.run_dir or find_run(arguments.run), "status")
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(reply).decode() + "\n")
    else:
        sys.stdout.write(text(rows(reply.processes, Meter())))
    return 0


def top(arguments: argparse.Namespace) -> int:
    """Run `sensorium top`. Raises ControlError."""
    from pipeline.control import find_run
    from pipeline.monitor.watch import watch
    from pipeline.runner import stop_on_signals

    watch(arguments.run_dir or find_run(arguments.run), stop_on_signals(), once=arguments.once)
    return 0
