"""What a service manager hears of a real run, on a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.run import LIMIT_S, SIMULATED, Run

pytestmark = pytest.mark.slow

WATCHDOG_S = 1.0


class Manager:
    """A service manager's socket, and what it heard."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)

    def next(self, limit_s: float) -> str:
        """The next datagram, or "" if none comes in time."""
        self._socket.settimeout(limit_s)
        try:
            self.heard.append(self._socket.recv(4096).decode())
        except TimeoutError:
            return ""
        return self.heard[-1]

    def until(self, word: str) -> float:
        """Listen until a datagram begins so; when it came."""
        deadline_s = time.monotonic() + LIMIT_S
        while not self.next(deadline_s - time.monotonic()).startswith(word):
            assert time.monotonic() < deadline_s, (word, self.heard)
        return time.monotonic()

    def wait_for_silence(self, word: str, seconds: float) -> None:
        """Wait until so long no datagram began so; some may wait to be read."""
        began_s = heard_s = time.monotonic()
        while (left_s := heard_s + seconds - time.monotonic()) > 0:
            if self.next(left_s).startswith(word):
                heard_s = time.monotonic()
            assert heard_s < began_s + seconds, self.heard

    def close(self) -> None:
        self._socket.close()


@contextmanager
def managed(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[Manager]:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1e6)))
    manager = Manager(name)
    try:
        yield manager
    finally:
        manager.close()


@pytest.mark.parametrize(
    "is_abstract",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["path", "abstract"],
)
def test_a_run_tells_that_it_is_ready_alive_and_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_abstract: bool
) -> None:
    name = f"@sensorium-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with managed(tmp_path, monkeypatch, name) as manager, Run(tmp_path, SIMULATED) as run:
        manager.until("READY=1")
        assert run.status()["node"]["pid"]
        manager.until("STATUS=tick ")
        pings_s = [manager.until("WATCHDOG=1") for _ in range(9)][4:]  # the first ones waited
        # Every half of the limit, give or take a look of the loop and a hiccup of the machine.
        assert 4 * WATCHDOG_S / 2 - 0.3 < pings_s[-1] - pings_s[0] < 4 * WATCHDOG_S
        run.process.send_signal(signal.SIGINT)
        manager.until("STOPPING=1")
    assert manager.heard.count("READY=1") == 1


def test_a_node_that_is_stopped_feeds_no_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(tmp_path / "notify")
    with managed(tmp_path, monkeypatch, name) as manager, Run(tmp_path, SIMULATED) as run:
        manager.until("WATCHDOG=1")
        node = run.status()["node"]["pid"]
        os.kill(node, signal.SIGSTOP)
        try:
            manager.wait_for_silence("WATCHDOG=1", 2 * WATCHDOG_S)
        finally:
            os.kill(node, signal.SIGCONT)
        manager.until("WATCHDOG=1")


def test_a_service_manager_that_is_gone_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with Run(tmp_path, SIMULATED) as run:
        run.until(lambda p: not p["missing"])
