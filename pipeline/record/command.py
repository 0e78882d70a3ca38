"""`sensorium record` and `sensorium trigger`, and `--record` of run and demo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config import Config


def add_arguments(commands: Any) -> None:
    """Add `record`; `trigger` is one of the control commands."""
    text = "record a run that is going already, until Ctrl-C or its end"
    made = commands.add_parser("record", help=text, description=text)
    made.set_defaults(command="record")
    made.add_argument("config", type=Path, metavar="CONFIG", help="the TOML file of the run")
    made.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="as x.mcap")
    made.add_argument(
        "--streams",
        type=lambda text: text.split(","),
        default=[],
        metavar="A,B",
        help='some of those whose `record` is not none; or "predictions" for them alone',
    )
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override")
    made.add_argument("--json", action="store_true", help="end with one line of JSON")


def with_file(config: Config, file: Path | None) -> Config:
    """The configuration with the file of `--record` in the place of its own."""
    from msgspec.structs import replace

    if file is None:
        return config
    return replace(config, record=replace(config.record, file=str(file)))


def record(arguments: argparse.Namespace) -> int:
    """Run `sensorium record`. Raises SensoriumError."""
    import msgspec

    from pipeline.error import SensoriumError
    from pipeline.loader import load
    from pipeline.record.attached import record as attach
    from pipeline.record.outcome import text
    from pipeline.runner import stop_on_signals

    config = load(arguments.config, arguments.set)
    found = attach(config, arguments.out, arguments.streams, stop_on_signals())
    shown = msgspec.json.encode(found).decode() if arguments.json else text(found)
    sys.stdout.write(shown + "\n")
    if found["error"]:
        raise SensoriumError(found["error"])
    return 0
