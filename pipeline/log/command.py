"""The commands `info` and `repair`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_arguments(commands: Any) -> None:
    """Add what the commands take."""
    for name, text in (
        ("info", "show what a log holds: streams, rates, gaps, drift, labels, damage"),
        ("repair", "recover what can be read of a log that was cut off or damaged"),
    ):
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=name)
        made.add_argument("file", type=Path, metavar="FILE", help="a log")
        made.add_argument("--json", action="store_true", help="end with one line of JSON")
    commands.choices["repair"].add_argument(
        "-o", "--out", type=Path, help="the new file (default: FILE.repaired, if needed)"
    )


def info(arguments: argparse.Namespace) -> int:
    """`sensorium info`: exit code 0, or 3 where something is damaged."""
    from pipeline.log.info import info

    found = info(arguments.file)
    _print(found, as_json=arguments.json)
    return 3 if found.damage else 0


def repair(arguments: argparse.Namespace) -> int:
    """`sensorium repair`: exit code 0 all is there, 3 something is lost, 1 nothing is left."""
    from pipeline.log.repair import repair

    found = repair(arguments.file, arguments.out)
    _print(found, as_json=arguments.json)
    return found.exit_code


def _print(found: Any, *, as_json: bool) -> None:
    import msgspec

    shown = msgspec.json.encode(found).decode() if as_json else found.text()
    sys.stdout.write(shown + "\n")
