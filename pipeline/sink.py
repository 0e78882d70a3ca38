"""Where predictions and events go: a sink is a callable that takes one."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

import msgspec

from pipeline.bus.publisher import Publisher
from pipeline.error import ConfigError, SensoriumError
from pipeline.event.event import Event
from pipeline.prediction import Prediction

Told: TypeAlias = Prediction | Event
Sink: TypeAlias = Callable[[Prediction], None]

BOUND_LINES = 1000  # that may wait for a slow reader
FLUSH_S = 0.5


def publish_sink(publisher: Publisher) -> Callable[[Told], None]:
    """Publish on the predictions endpoint."""

    def publish(told: Told) -> None:
        publisher.send(told)

    return publish


class JsonLines:
    """One JSON object a line into a file that is replaced, or to stdout where the path is "-".

    A thread writes, so that a reader that does not read costs lines, which are counted, but never
    a tick. Once writing fails, or the reader has hung up, nothing more is written.
    """

    def __init__(self, path: str, ask_stop: Callable[[], None]) -> None:
        """`ask_stop` is called when writing has ended early. Raises ConfigError."""
        self._path, self._ask_stop = path, ask_stop
        self._fd = _open(path)
        # The one pair of clock readings that gives predictions their wall-clock time.
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._encoder = msgspec.json.Encoder()
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._n_queued = self._n_written = 0
        self._error: OSError | None = None
        self._flush_until_s = 0.0
        self.dropped = 0
        # A daemon: a reader that never reads must not keep the process from ending.
        self._writer = threading.Thread(target=self._work, daemon=True)
        self._writer.start()

    def __call__(self, told: Told) -> None:
        """Queue its line, or count it as dropped."""
        if self._lines.qsize() >= BOUND_LINES:
            self.dropped += 1
            return
        self._n_queued += 1
        self._lines.put(self._encoder.encode(told.report(self._offset_ns)) + b"\n")

    def finish(self) -> None:
        """Say that no line comes any more: what waits has FLUSH_S from now."""
        self._lines.put(None)
        self._flush_until_s = time.monotonic() + FLUSH_S

    def close(self) -> None:
        """Wait for the flush, and count what was not written. Raises SensoriumError if it failed.

        A reader that has hung up is no failure.
        """
        self._writer.join(max(0.0, self._flush_until_s - time.monotonic()))
        self.dropped += self._n_queued - self._n_written
        if self._error and not isinstance(self._error, BrokenPipeError):
            raise SensoriumError(f"out.jsonl {self._path}: {self._error.strerror}")

    def _work(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                _write_all(self._fd, line)
                self._n_written += 1
        except OSError as error:
            self._error = error
            self._ask_stop()


def _write_all(fd: int, line: bytes) -> None:
    while line:
        try:
            line = line[os.write(fd, line) :]
        except BlockingIOError:  # whoever gave us stdout made it non-blocking
            select.select([], [fd], [])


def _open(path: str) -> int:
    # Not through sys.stdout: a thread that waits in its buffer holds a lock that the exit needs.
    if path == "-":
        return sys.stdout.fileno()
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ConfigError(f"out.jsonl {path}: cannot be written: {error.strerror}") from error
