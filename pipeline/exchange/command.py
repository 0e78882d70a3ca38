"""`sensorium import` and `sensorium export`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pipeline.quantity import positive, whole


def add_arguments(commands: Any) -> None:
    """Add `import` and `export`."""
    _add_import(commands)
    give = _add(
        commands,
        "export",
        "write a log as films, sound and tables or a manifest; or a bundle in another precision",
    )
    give.add_argument("file", type=Path, metavar="FILE", help="a log, or the folder of a bundle")
    give.add_argument(
        "logs", nargs="*", type=Path, metavar="LOG", help="of a bundle: labelled logs"
    )
    give.add_argument(
        "-o", "--out", type=Path, help="of a log: a new folder; or one .mp4 or .mkv file"
    )
    give.add_argument("--precision", choices=["fp16", "int8"], help="of a bundle, judged by LOG")
    give.add_argument("--config", type=Path, metavar="FILE", help="in place of that of the LOG")
    give.add_argument("--format", choices=["media", "manifest"], default="media")
    give.add_argument(
        "--labels", default="truth", help="the labels whose intervals are items of a manifest"
    )


def _add_import(commands: Any) -> None:
    bring = _add(commands, "import", "make a log of a film, pictures, sound, lines or a ROS bag")
    bring.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="a film, sound file, folder with manifest.csv, folder of pictures, .jsonl, ROS bag",
    )
    bring.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="as x.mcap")
    bring.add_argument("--name", default="", help="of the streams, as in camera/NAME")
    bring.add_argument(
        "--jpeg",
        type=whole("quality of 1 to 100", 1, 100),
        metavar="QUALITY",
        help="keep pictures as JPEG, 1 to 100",
    )
    bring.add_argument("--compression", choices=["none", "lz4", "zstd"], default="none")
    bring.add_argument(
        "--rate-hz",
        type=positive,
        default=10.0,
        help="of a folder of pictures (default 10)",
    )
    bring.add_argument(
        "--sample-rate-hz",
        type=whole("rate of 1000 to 384000 Hz", 1000, 384_000),
        default=16_000,
        help="of the sound (default 16000)",
    )
    bring.add_argument(
        "--gap-s",
        type=positive,
        default=12.0,
        help="between items of a manifest (default 12)",
    )
    bring.add_argument(
        "--map",
        action="append",
        default=[],
        type=_topic,
        metavar="TOPIC=STREAM",
        help="name the stream of a bag's topic, repeatable",
    )


def bring_in(arguments: argparse.Namespace) -> int:
    """Run `sensorium import`. Raises SensoriumError."""
    from pipeline.exchange.incoming import Options, stream_name
    from pipeline.exchange.intake import bring_in

    options = Options(
        name=stream_name(arguments.name) if arguments.name else "",
        rate_hz=arguments.rate_hz,
        sample_rate_hz=arguments.sample_rate_hz,
        gap_s=arguments.gap_s,
        topics=dict(arguments.map),
    )
    found = bring_in(
        arguments.source,
        arguments.out,
        options,
        jpeg_quality=arguments.jpeg,
        compression=arguments.compression,
    )
    return _show(found, arguments.json)


def give_out(arguments: argparse.Namespace) -> int:
    """Run `sensorium export`. Raises SensoriumError, EngineError."""
    from pipeline.exchange.incoming import ExchangeError

    if arguments.precision:
        from pipeline.learning.variant_command import export_variant

        return export_variant(arguments)
    if arguments.logs:
        raise ExchangeError("one log is exported at a time; a bundle takes --precision, too")
    if not arguments.out:
        raise ExchangeError("say where to, with --out; or of a bundle which --precision")
    if arguments.format == "manifest":
        from pipeline.exchange.manifest_out import export_manifest

        return _show(
            export_manifest(arguments.file, arguments.out, arguments.labels), arguments.json
        )
    from pipeline.exchange.media_out import export_media

    return _show(export_media(arguments.file, arguments.out), arguments.json)


def _show(found: dict[str, Any], as_json: bool) -> int:
    import msgspec

    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return 0
    parts = ", ".join(f"{stream} {n}" for stream, n in found["streams"].items())
    sys.stdout.write(f"{found['file']}: {parts}; {found['seconds']:g} s\n")
    for what, n in found["left_out"].items():
        sys.stdout.write(f"left out: {n} {what}\n")
    return 0


def _add(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    made.set_defaults(command=name)
    made.add_argument("--json", action="store_true", help="end with one line of JSON")
    return made


def _topic(text: str) -> tuple[str, str]:
    topic, mark, stream = text.partition("=")
    if not (topic and mark and stream):
        raise argparse.ArgumentTypeError(f"{text!r} is not TOPIC=STREAM, as /cam=camera/door")
    return topic, stream
