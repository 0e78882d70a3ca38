"""What every process of a run does first and last: signals, logging, exit codes, health."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from engines.error import EngineError
from pipeline.config import Config
from pipeline.error import ConfigError, SensoriumError
from pipeline.sample import Health, health_stream

EXIT_FAILED = 1
EXIT_CONFIG = 2  # starting again cannot help
HEALTH_PERIOD_NS = 1_000_000_000

log = logging.getLogger(__name__)


class Stop:
    """A request to stop that a signal handler may make.

    threading.Event may not be set from one: the main thread could hold its lock.
    """

    def __init__(self) -> None:
        self._asked = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ask(self, *_: object) -> None:
        """Ask to stop; also a signal handler."""
        self._asked = True
        os.eventfd_write(self._bell, 1)

    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked

    def wait(self, timeout_s: float) -> bool:
        """Wait for the request, at most so long."""
        select.select([self._bell], [], [], timeout_s)
        return self._asked


def run(name: str, work: Callable[[Stop], None]) -> int:
    """Run the work of a child process until it ends or is told to stop; returns the exit code.

    The child leaves Ctrl-C to its parent, and stops on SIGTERM.
    """
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format=f"%(levelname)s process={name} %(message)s")
    try:
        work(stop)
    except ConfigError as error:
        log.error("%s", error)
        return EXIT_CONFIG
    except (SensoriumError, EngineError) as error:
        log.error("%s", error)
        return EXIT_FAILED
    return 0


def write_config(config: Config, path: Path) -> None:
    """Leave the checked configuration for the children."""
    path.write_bytes(msgspec.json.encode(config))


def read_config(path: Path) -> Config:
    """The configuration that the supervisor left. Raises ConfigError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Config)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path}: {error}") from error


class Sender(Protocol):
    """Where health goes."""

    def send(self, sample: Health) -> None: ...


class HealthReporter:
    """Sends the health of this process, from its working loop: a loop that hangs is silent."""

    def __init__(self, process: str, publisher: Sender, counters: dict[str, int]) -> None:
        self._process, self._publisher, self.counters = process, publisher, counters
        self._next_ns = 0
        self.state = "starting"
        self.last_error = ""
        self.faults: list[str] = []

    @property
    def due(self) -> bool:
        """Whether a second has passed since the last report."""
        return time.monotonic_ns() >= self._next_ns

    def beat(self) -> None:
        """Report once a second."""
        if self.due:
            self.report()

    def report(self, state: str = "", last_error: str = "") -> None:
        """Report now; a new state or error is kept."""
        self.state = state or self.state
        self.last_error = last_error or self.last_error
        now_ns = time.monotonic_ns()
        self._next_ns = now_ns + HEALTH_PERIOD_NS
        health = Health(
            stream=health_stream(self._process),
            seq=0,
            t_capture_ns=now_ns,
            t_publish_ns=now_ns,
            process=self._process,
            pid=os.getpid(),
            state=self.state,
            counters=dict(self.counters),
            last_error=self.last_error,
            faults=list(self.faults),
        )
        self._publisher.send(health)
