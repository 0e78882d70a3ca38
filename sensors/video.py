"""Opening video with OpenCV, and a reader that always drains a live source.

A live source must be read as fast as it delivers: what is not read queues up in FFmpeg and makes
every later picture old. So a thread reads, and keeps only the newest few pictures:
as many as a stream delivers in one burst.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from pipeline.bus.publisher import LENT_SLOTS
from pipeline.error import SensorHungError, SensorLostError
from sensors import csi
from sensors.exposure import Exposure, Picture

NS_PER_S = 1_000_000_000
OPEN_LIMIT_MS = 2500
READ_LIMIT_MS = 2000
# FFmpeg ends some waits with an old picture and no error: whatever took this long is a fault.
STALL_S = 1.0
# Every call has its own limit, but for a driver that hangs.
HUNG_S = 6.0
# FFmpeg's TCP transport loses nothing; the other two keep it from queueing pictures up.
RTSP_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"


def open_file(path: str) -> cv2.VideoCapture:
    """An opened video file; `isOpened()` says whether it is one."""
    _be_quiet()
    return cv2.VideoCapture(path, cv2.CAP_FFMPEG)


def open_live(source: str) -> cv2.VideoCapture:
    """An opened device (an index, or a path under /dev) or URL; ask `isOpened()`."""
    _be_quiet()
    if source.startswith(f"{csi.SCHEME}://"):
        return cv2.VideoCapture(csi.pipeline(source), cv2.CAP_GSTREAMER)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_LIMIT_MS]
    limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_LIMIT_MS]
    if "://" in source:
        options = RTSP_OPTIONS if source.startswith("rtsp") else "fflags;nobuffer"
        with _environment("OPENCV_FFMPEG_CAPTURE_OPTIONS", options):
            return cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
    with _environment("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(READ_LIMIT_MS // 1000)):
        device = int(source) if source.isdecimal() else source
        return cv2.VideoCapture(device, cv2.CAP_V4L2)


def shown(source: str) -> str:
    """The source without user, password and query, as it may stand in a log."""
    return re.sub(r"\?.*", "?...", re.sub(r"://[^/]*@", "://***@", source))


class RateLimit:
    """Lets at most `rate_hz` pictures a second through; None: all."""

    def __init__(self, rate_hz: float | None) -> None:
        self._period_ns = round(NS_PER_S / rate_hz) if rate_hz else 0
        self._due_ns: int | None = None

    def admits(self, t_ns: int) -> bool:
        """Whether the picture of this time is due.

        A quarter of a period early is due: a source at the very rate would else lose every other
        picture to jitter. A late one does not delay the next, so that the mean rate is kept.
        """
        due_ns = t_ns if self._due_ns is None else self._due_ns
        if t_ns + self._period_ns // 4 < due_ns:
            return False
        on_time = t_ns < due_ns + self._period_ns
        self._due_ns = (due_ns if on_time else t_ns) + self._period_ns
        return True


class LiveReader:
    """Reads a live source in a thread of its own. Counts `skipped` and `superseded` pictures."""

    def __init__(
        self, source: str, limit: RateLimit, exposure: Exposure, counters: dict[str, int]
    ) -> None:
        self._source, self._exposure = source, exposure
        self._limit = limit
        self._counters = counters
        self._changed = threading.Condition()
        self._held: deque[Picture] = deque(maxlen=LENT_SLOTS)
        self._fault = ""
        self._stopping = threading.Event()
        self._heard_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Picture | None:
        """The next picture, if one comes in time. Raises SensorLostError."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._fault, timeout_s)
            picture = self._held.popleft() if self._held else None
        if picture is None and self._fault:
            raise SensorLostError(f"camera {shown(self._source)}: {self._fault}")
        if picture is None and time.monotonic() - self._heard_s > HUNG_S:
            raise SensorHungError(f"camera {shown(self._source)}: reading does not return")
        return picture

    def close(self) -> None:
        """Release the device. Raises SensorHungError."""
        self._stopping.set()
        self._thread.join(HUNG_S / 2)
        if self._thread.is_alive():
            raise SensorHungError(f"camera {shown(self._source)}: closing does not return")

    def _run(self) -> None:
        capture = open_live(self._source)
        try:
            fault = self._read(capture) if capture.isOpened() else "cannot be opened"
        except cv2.error as error:
            fault = f"cannot be read: {error.err}"
        with self._changed:
            self._fault = fault
            self._changed.notify()
        capture.release()

    def _read(self, capture: cv2.VideoCapture) -> str:
        """Read until something is wrong; say what."""
        n_read = 0
        while not self._stopping.is_set():
            self._heard_s = time.monotonic()
            grabbed = capture.grab()
            now_ns = time.monotonic_ns()
            # The first picture of a webcam may take its time.
            if n_read and now_ns / NS_PER_S - self._heard_s > STALL_S:
                return f"no picture for {STALL_S:g} s"
            if not grabbed:
                return "the stream ended" if n_read else "no picture came"
            n_read += 1
            if not self._limit.admits(now_ns):
                self._counters["skipped"] += 1
                continue
            picture = self._exposure.take(capture, now_ns)
            if picture is None:
                return "a picture could not be decoded"
            self._put(picture)
        return "closed"

    def _put(self, picture: Picture) -> None:
        with self._changed:
            self._counters["superseded"] += len(self._held) == LENT_SLOTS
            self._held.append(picture)
            self._changed.notify()


def _be_quiet() -> None:
    """OpenCV and FFmpeg write to stderr what the errors of this program already say."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    if hasattr(cv2.utils, "logging"):  # before OpenCV 4.7 there is none, and less is written
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable while a source is opened, unless the user has."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
