"""What the service manager is told of a run: readiness, status, watchdog, the stop.

The protocol is that of sd_notify(3): datagrams to the unix socket NOTIFY_SOCKET. Without that
variable nothing is said.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

from pipeline.config import Config
from pipeline.prediction import Prediction
from pipeline.sample import Health

STATUS_S = 5.0  # between two status lines
BUILD_S = 60  # for which the start may go on from each word of a build on

log = logging.getLogger(__name__)


class Service:
    """Talks to the service manager of this run, from its loop.

    The watchdog is fed by the node's ticks: no tick, no ping. Where a clock stream alone makes the
    ticks, a lost camera must not end the run: there the node's own reports feed it.
    """

    def __init__(self, config: Config) -> None:
        environment = os.environ
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._ping_s = _ping_s(environment)
        self._by_tick = bool(config.tick_hz)
        self._ready, self._failed = False, False
        self._pinged_sign = 0
        self._next_ping_s = self._next_status_s = 0.0

    def beat(self, newest: Prediction | None, node: Health | None) -> None:
        """Say what is due, of the newest prediction and the node's newest health."""
        if not self._address:
            return
        if not self._ready and node and node.state == "building":
            self._wait()
        if not self._ready and (newest or (node and node.state == "running")):
            self._ready = True
            self._send("READY=1")
        now_s = time.monotonic()
        if newest and now_s >= self._next_status_s:
            self._next_status_s = now_s + STATUS_S
            self._send(f"STATUS={_status(newest)}")
        self._feed(newest.tick_ns if newest else 0, node.t_publish_ns if node else 0, now_s)

    def _wait(self) -> None:
        """Ask for time: a first build of engines takes minutes."""
        now_s = time.monotonic()
        if now_s >= self._next_status_s:
            self._next_status_s = now_s + STATUS_S
            self._send(f"EXTEND_TIMEOUT_USEC={BUILD_S * 1_000_000}\nSTATUS=building engines")

    def stopping(self) -> None:
        """Say that the run ends."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def _feed(self, tick_ns: int, health_ns: int, now_s: float) -> None:
        sign = tick_ns if self._by_tick else max(tick_ns, health_ns)
        if self._ping_s and sign > self._pinged_sign and now_s >= self._next_ping_s:
            self._next_ping_s, self._pinged_sign = now_s + self._ping_s, sign
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        """One datagram; a service manager that does not take it is told of once."""
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            with socket.socket(socket.AF_UNIX, kind) as manager:
                manager.sendto(state.encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("NOTIFY_SOCKET: the service manager hears nothing: %s", error.strerror)
            self._failed = True


def _address(name: str) -> str:
    """A path, or an abstract name, which systemd writes with @ in front."""
    return f"\0{name[1:]}" if name.startswith("@") else name


def _ping_s(environment: Mapping[str, str]) -> float:
    """Half of the time after which the service manager gives up; 0 without a watchdog for us."""
    limit_us, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    is_ours = pid in ("", str(os.getpid()))
    return int(limit_us) / 2e6 if limit_us.isdecimal() and is_ours else 0.0


def _status(newest: Prediction) -> str:
    """One line, as `systemctl status` shows it."""
    missing = f"; missing: {', '.join(newest.missing)}" if newest.missing else ""
    return f"tick {newest.seq}: {newest.top}{missing}"
