"""`sensorium stop`, `mute`, `unmute` and `trigger`: asked of a run that goes on."""

from __future__ import annotations

import argparse

from pipeline.command.answer import print_json
from pipeline.control import find_run, request


def control(arguments: argparse.Namespace) -> int:
    """Ask a run. Raises ControlError."""
    run_dir = arguments.run_dir or find_run(arguments.run)
    reply = request(run_dir, arguments.command, getattr(arguments, "stream", ""))
    return print_json(reply) if arguments.json else 0
