"""`sensorium run` and `sensorium demo`."""

from __future__ import annotations

import argparse
import sys

from pipeline.command.answer import print_json
from pipeline.config import Config
from pipeline.loader import load
from pipeline.record.command import with_file
from pipeline.record.outcome import text
from pipeline.runner import run as run_until_the_end
from pipeline.summary import Summary, Truth


def run(arguments: argparse.Namespace) -> int:
    """Run a configuration. Raises SensoriumError."""
    config = with_file(load(arguments.config, arguments.set), arguments.record)
    result = run_until_the_end(config, seconds=arguments.seconds, summary=Summary())
    if arguments.json:
        return print_json(result)
    if "recording" in result:
        sys.stderr.write(text(result["recording"]) + "\n")  # stdout may be for predictions
    return 0


def demo(arguments: argparse.Namespace, config: Config, truth: Truth) -> int:
    """Run the simulated home, shown on the terminal. Raises SensoriumError."""
    config, summary = with_file(config, arguments.record), Summary(truth)
    if arguments.json:
        return print_json(run_until_the_end(config, seconds=arguments.seconds, summary=summary))

    from pipeline.terminal import Screen, View, print_summary

    console = Screen()
    with View(console) as view:
        result = run_until_the_end(config, seconds=arguments.seconds, summary=summary, watch=view)
    print_summary(console, result)
    return 0
