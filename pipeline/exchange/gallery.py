"""A folder of pictures, in the order of their names, at a steady rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.exchange import picture
from pipeline.exchange.incoming import (
    NS_PER_S,
    ExchangeError,
    Incoming,
    Options,
    imported,
    stream_name,
)
from pipeline.sample import Frame


def open_gallery(folder: Path, options: Options) -> Incoming:
    """camera/NAME of the PNG and JPEG files in a folder. Raises ExchangeError."""
    entries = sorted(path for path in folder.iterdir() if path.is_file())
    files = [path for path in entries if path.suffix.lower() in picture.SUFFIXES]
    if not files:
        raise ExchangeError(
            f"{folder}: holds no manifest.csv, no metadata.yaml of a ROS 2 bag, no PNG or JPEG"
        )
    stream = f"camera/{options.name or stream_name(folder.resolve().name)}"
    return Incoming(
        header=imported([stream]),
        streams=[_frames(files, stream, options.rate_hz)],
        left_out=Counter({"files that are no PNG or JPEG": len(entries) - len(files)}),
        length_s=len(files) / options.rate_hz,
    )


def _frames(files: list[Path], stream: str, rate_hz: float) -> Iterator[Frame]:
    for seq, path in enumerate(files):
        t_ns = round(seq * NS_PER_S / rate_hz)
        pixels = picture.read(path)
        yield Frame(stream=stream, seq=seq, t_capture_ns=t_ns, t_publish_ns=t_ns, pixels=pixels)
