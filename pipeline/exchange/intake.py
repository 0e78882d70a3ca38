"""Brings a source into a log, stream by stream in one order, and says what was left out."""

from __future__ import annotations

import heapq
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.config import Compression
from pipeline.exchange.draft import draft
from pipeline.exchange.incoming import NS_PER_S, ExchangeError, Incoming, Options
from pipeline.exchange.source import open_source
from pipeline.log.codec import encode
from pipeline.log.pack import JPEG_QUALITY
from pipeline.log.writer import LogWriter
from pipeline.progress import progress
from pipeline.sample import Sample
from pipeline.stream import Form


def bring_in(
    source: Path,
    out: Path,
    options: Options,
    *,
    jpeg_quality: int | None = None,
    compression: Compression = "none",
) -> dict[str, Any]:
    """Write the log `out`, whole or not at all. Pictures are lossless without a quality.

    Returns what `--json` prints. Raises ExchangeError, LogError.
    """
    incoming = open_source(source, options)
    counts: Counter[str] = Counter()
    with draft(out) as path:
        with LogWriter(path, incoming.header, compression=compression) as log:
            _write(incoming, log, jpeg_quality, counts)
            left_out = {what: n for what, n in sorted(incoming.left_out.items()) if n}
            log.note("import", {"source": source.name, **{k: str(n) for k, n in left_out.items()}})
            seconds = (log.ended_ns - log.begun_ns) / NS_PER_S
        if not counts:
            raise ExchangeError(f"{source}: holds nothing that could be taken")
        size_bytes = path.stat().st_size
    return {
        "file": str(out),
        "bytes": size_bytes,
        "seconds": round(seconds, 3),
        "streams": dict(sorted(counts.items())),
        "left_out": left_out,
    }


def _write(
    incoming: Incoming, log: LogWriter, jpeg_quality: int | None, counts: Counter[str]
) -> None:
    form: Form = "lossless" if jpeg_quality is None else "jpeg"
    offset_ns = incoming.header.wall_minus_monotonic_ns
    with progress("importing", incoming.length_s) as advance:
        for sample in heapq.merge(*incoming.streams, key=_order):
            log.append(encode(sample, form, offset_ns, jpeg_quality or JPEG_QUALITY))
            counts[sample.stream] += 1
            advance((sample.t_publish_ns - incoming.header.monotonic_ns) / NS_PER_S)


def _order(sample: Sample) -> tuple[int, str, int]:
    return sample.t_publish_ns, sample.stream, sample.seq
