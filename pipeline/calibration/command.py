"""`sensorium calibrate av`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.quantity import seconds, whole

if TYPE_CHECKING:
    from pipeline.calibration.measurement import Events
    from pipeline.config import Config

MIN_PAIRS = 5  # as in pipeline.calibration.delay, which loads numpy
PAIRS = f"number from {MIN_PAIRS} to 1000"


def add_arguments(commands: Any) -> None:
    """Add `calibrate`."""
    text = "measure by how much a camera is later than a microphone, with flashes and clicks"
    made = commands.add_parser("calibrate", help=text, description=text)
    made.set_defaults(command="calibrate")
    made.add_argument("what", choices=["av"], help="av: a camera and a microphone")
    made.add_argument("config", type=Path, metavar="CONFIG", help="offset_ms is written into it")
    made.add_argument("--camera", default="", metavar="NAME", help="if there are several")
    made.add_argument("--microphone", default="", metavar="NAME", help="if there are several")
    made.add_argument("--from", dest="file", type=Path, metavar="FILE", help="a log, or a film")
    made.add_argument(
        "--pairs",
        type=whole(PAIRS, MIN_PAIRS, 1000),
        default=12,
        metavar="N",
        help="default: 12",
    )
    made.add_argument("--seconds", type=seconds, default=120.0, help="at most; default: 120")
    made.add_argument("--dry-run", action="store_true", help="write nothing")
    made.add_argument("--json", action="store_true", help="end with one line of JSON")


def calibrate(arguments: argparse.Namespace) -> int:
    """Run `sensorium calibrate`. Raises SensoriumError."""
    import msgspec

    from pipeline.calibration.measurement import told
    from pipeline.calibration.offset import new_offsets, write_offsets
    from pipeline.loader import load

    config = load(arguments.config)
    names = {"camera": arguments.camera, "microphone": arguments.microphone}
    streams = [_stream(config, kind, name) for kind, name in names.items()]
    events, before_ms = _events(arguments, config, streams)
    found = told(events)
    camera, microphone = ((stream, before_ms[stream]) for stream in streams)
    offsets_ms = new_offsets(camera, microphone, found["delay_ms"])
    if not arguments.dry_run:
        write_offsets(arguments.config, offsets_ms)
    found |= {"streams": streams, "offset_ms": offsets_ms, "written": not arguments.dry_run}
    shown = msgspec.json.encode(found).decode() if arguments.json else _text(found)
    sys.stdout.write(shown + "\n")
    return 0


def _events(
    arguments: argparse.Namespace, config: Config, streams: list[str]
) -> tuple[Events, dict[str, float]]:
    """What happened, and the offsets in ms by which its times are corrected already."""
    from pipeline.calibration.listening import live, offsets_ms
    from pipeline.calibration.measurement import all_events, events_until
    from pipeline.calibration.recording import Recording
    from pipeline.runner import stop_on_signals

    if arguments.file:
        recording = Recording(arguments.file, streams)
        return all_events(recording.samples()), recording.offsets_ms
    sys.stderr.write(
        f"{streams[0]} and {streams[1]}: flash and click at the same moment, {arguments.pairs}"
        " times, two to four seconds apart\n"
    )
    before_ms, stop = offsets_ms(config, streams), stop_on_signals()
    with closing(live(config, streams)) as samples:
        events = events_until(samples, arguments.pairs, arguments.seconds, stop)
    return events, before_ms


def _stream(config: Config, kind: str, name: str) -> str:
    """The stream of a kind that is meant. Raises CalibrationError."""
    from pipeline.calibration.delay import CalibrationError

    there = [stream for stream in config.sensors if stream.startswith(f"{kind}/")]
    chosen = [stream for stream in there if name in ("", stream, stream.partition("/")[2])]
    if len(chosen) != 1:
        known = ", ".join(there) or "there is none"
        raise CalibrationError(f"name one {kind} of this host with --{kind} NAME: {known}")
    return chosen[0]


def _text(found: dict[str, Any]) -> str:
    camera, microphone = found["streams"]
    late = "later" if found["delay_ms"] >= 0 else "earlier"
    lines = [
        f"{camera} is {abs(found['delay_ms']):g} ms {late} than {microphone}, within"
        f" {found['uncertainty_ms']:g} ms; half of {found['pairs']} pairs lie within"
        f" {found['spread_ms']:g} ms ({found['flashes']} flashes, {found['clicks']} clicks)"
    ]
    verb = "is now" if found["written"] else "would be"
    lines += [f"{s}: offset_ms {verb} {ms:g}" for s, ms in found["offset_ms"].items()]
    return "\n".join(lines)
