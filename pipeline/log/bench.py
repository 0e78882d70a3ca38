"""`sensorium bench log`: the writer beside a plain file write of the same bytes, in one run.

VGA frames, one write a frame, no fsync. The ways take turns in an order that moves on each run,
each into a new file in the folder for temporary files; the ratio is taken within a run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.config import Compression
from pipeline.log.form import LogHeader
from pipeline.log.writer import LogWriter
from pipeline.sample import Frame

HEIGHT_PX, WIDTH_PX = 480, 640
N_FRAMES = 200  # 184 MB
RATE_HZ = 30
PLAIN = "plain"
_PERIOD_NS = 1_000_000_000 // RATE_HZ

Way: TypeAlias = Callable[[Path, Sequence[Frame]], None]


def bench_log(n_runs: int, simulated: Sequence[Frame]) -> dict[str, Any]:
    """Measure; {content: {way: {mb_s, of_plain, file_share}}}, medians over the runs."""
    contents = {"simulated": _cycled(simulated), "random": _random()}
    return {name: _measure(n_runs, frames) for name, frames in contents.items()}


def text(result: Mapping[str, Any]) -> str:
    """For people."""
    lines = ["MB/s of VGA frames (of a plain file write; size of the file)"]
    for content, ways in result.items():
        cells = (
            f"{way} {found['mb_s']:.0f} ({found['of_plain']:.2f}; {found['file_share']:.2f})"
            for way, found in ways.items()
        )
        lines.append(f"{content}: {'  '.join(cells)}")
    return "\n".join(lines)


def _measure(n_runs: int, frames: Sequence[Frame]) -> dict[str, Any]:
    payload_bytes = sum(frame.pixels.nbytes for frame in frames)
    took_s: dict[str, list[float]] = {name: [] for name in WAYS}
    sizes_bytes: dict[str, int] = {}
    names = list(WAYS)
    for run in range(-1, n_runs):  # the first warms up
        for name in names[run % len(names) :] + names[: run % len(names)]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "file"
                begun_s = time.perf_counter()
                WAYS[name](path, frames)
                seconds = time.perf_counter() - begun_s
                sizes_bytes[name] = path.stat().st_size
            if run >= 0:
                took_s[name].append(seconds)
    return {
        name: {
            "mb_s": payload_bytes / 1e6 / statistics.median(took_s[name]),
            "of_plain": statistics.median(
                plain_s / seconds
                for plain_s, seconds in zip(took_s[PLAIN], took_s[name], strict=True)
            ),
            "file_share": sizes_bytes[name] / payload_bytes,
        }
        for name in names
    }


def _plain(path: Path, frames: Sequence[Frame]) -> None:
    with path.open("wb", buffering=0) as file:
        for frame in frames:
            file.write(frame.pixels.data)


def _log(compression: Compression, path: Path, frames: Sequence[Frame]) -> None:
    header = LogHeader(monotonic_ns=0, wall_ns=0)
    with LogWriter(path, header, compression=compression) as writer:
        for frame in frames:
            writer.write(frame)


def _copied(path: Path, frames: Sequence[Frame]) -> None:
    """As a recorder does it, which must copy a frame before it is overwritten."""
    with LogWriter(path, LogHeader(monotonic_ns=0, wall_ns=0)) as writer:
        for frame in frames:
            writer.append(writer.encode(frame))


def _random() -> list[Frame]:
    """Frames of noise, each its own."""
    rng = np.random.default_rng(0)
    shape = (HEIGHT_PX, WIDTH_PX, 3)
    noise = (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(N_FRAMES))
    return [_frame(n, pixels) for n, pixels in enumerate(noise)]


def _cycled(frames: Sequence[Frame]) -> list[Frame]:
    """As many frames as noise has, at its rate, each in memory of its own."""
    return [_frame(n, frames[n % len(frames)].pixels.copy()) for n in range(N_FRAMES)]


def _frame(n: int, pixels: Any) -> Frame:
    t_ns = n * _PERIOD_NS
    return Frame(stream="camera/bench", seq=n, t_capture_ns=t_ns, t_publish_ns=t_ns, pixels=pixels)


WAYS: Mapping[str, Way] = {
    PLAIN: _plain,
    "none": partial(_log, "none"),
    "none, copied": _copied,
    "lz4": partial(_log, "lz4"),
    "zstd": partial(_log, "zstd"),
}
