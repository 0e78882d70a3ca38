"""Pictures from a video device, a network stream, or a video file played at its own pace."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import cv2

from pipeline.error import ConfigError, SensorLostError
from pipeline.sample import Frame, read_only
from pipeline.stream import Camera
from sensors import csi
from sensors.exposure import Exposure, Lend, Picture, own_memory
from sensors.video import NS_PER_S, LiveReader, RateLimit, open_file, shown

WAIT_S = 0.25
LATE_NS = NS_PER_S // 2
SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", csi.SCHEME)
DEFAULT_FPS = 25.0


def frames(
    config: Camera,
    *,
    stream: str,
    counters: dict[str, int] | None = None,
    lend: Lend = own_memory,
) -> Generator[Frame | None, None, None]:
    """Pictures uint8 (H, W, 3), BGR, at most `rate_hz`, scaled to `resize` (width, height).

    They are made in memory that `lend` lends, if it can be.

    Counts `skipped` (above the rate), `superseded` (a newer one came before the old was taken),
    and for a file `paused` (it fell too far behind to catch up). Raises ConfigError,
    SensorLostError.
    """
    counters = {} if counters is None else counters
    for name in ("skipped", "superseded", "paused"):
        counters.setdefault(name, 0)
    source = str(config.source)
    seq = 0
    exposure = Exposure(lend, config.resize)
    with closing((_seen if _is_live(source) else _played)(config, exposure, counters)) as pictures:
        for picture in pictures:
            if picture is None:
                yield None
                continue
            t_capture_ns, pixels, memory = picture
            if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
                raise SensorLostError(f"camera {shown(source)}: a picture of shape {pixels.shape}")
            yield Frame(
                stream=stream,
                seq=seq,
                t_capture_ns=t_capture_ns,
                t_publish_ns=max(t_capture_ns, time.monotonic_ns()),
                pixels=read_only(pixels),
                order="bgr",
                memory=memory,
            )
            seq += 1


def _is_live(source: str) -> bool:
    scheme, mark, _ = source.partition("://")
    if mark and scheme not in SCHEMES:
        raise ConfigError(f"camera {shown(source)}: the URLs are {', '.join(SCHEMES)}")
    if scheme == csi.SCHEME:
        csi.check(source)
    return bool(mark) or source.isdecimal() or source.startswith("/dev/")


def _seen(
    config: Camera, exposure: Exposure, counters: dict[str, int]
) -> Generator[Picture | None, None, None]:
    limit = RateLimit(config.rate_hz)
    with closing(LiveReader(str(config.source), limit, exposure, counters)) as reader:
        while True:
            yield reader.next(WAIT_S)


def _played(
    config: Camera, exposure: Exposure, counters: dict[str, int]
) -> Generator[Picture | None, None, None]:
    """The pictures of a file, each with the time at which it is due."""
    path = Path(str(config.source))
    if not path.is_file():
        raise ConfigError(f"camera {path}: is no file")
    limit = RateLimit(config.rate_hz)
    start_ns = time.monotonic_ns()
    for position_ns, capture in _positions(path, loop=config.loop):
        if not limit.admits(position_ns):
            counters["skipped"] += 1
            continue
        if (behind_ns := time.monotonic_ns() - start_ns - position_ns) > LATE_NS:
            counters["paused"] += 1
            start_ns += behind_ns
        picture = exposure.take(capture, start_ns + position_ns)
        if picture is None:
            raise SensorLostError(f"camera {path}: a picture could not be decoded")
        yield picture


def _positions(path: Path, *, loop: bool) -> Iterator[tuple[int, cv2.VideoCapture]]:
    """Grab each picture of a file: its time in ns from the first, always rising, and its place."""
    begin_ns = 0
    while True:
        capture = open_file(str(path.resolve()))
        try:
            fps = capture.get(cv2.CAP_PROP_FPS)
            step_ns = round(NS_PER_S / (fps if fps > 0 else DEFAULT_FPS))
            position_ns, first_ms = begin_ns - step_ns, None
            while capture.grab():
                stamp_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
                first_ms = stamp_ms if first_ms is None else first_ms
                stamp_ns = begin_ns + round((stamp_ms - first_ms) * 1e6)
                # Some files repeat a stamp, or jump back.
                position_ns = stamp_ns if stamp_ns > position_ns else position_ns + step_ns
                yield position_ns, capture
        finally:
            capture.release()
        if position_ns < begin_ns:
            raise ConfigError(f"camera {path}: is no video that can be read")
        if not loop:
            return
        begin_ns = position_ns + step_ns
