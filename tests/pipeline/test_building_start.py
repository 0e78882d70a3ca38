"""A start that waits for a build: alive, told of, and over at once when it is stopped."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.building.standby import build_now
from pipeline.child import HealthReporter, Stop
from pipeline.sample import Health
from pipeline.service import Service
from tests.pipeline.home import config
from tests.pipeline.slow_builder import Orders

LIMIT_S = 20.0


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    return Orders(tmp_path)


class Told:
    """Where health goes: it says how far the build is, as the builder is told."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def send(self, sample: Health) -> None:
        self.states.append(sample.state)


def test_a_start_that_waits_for_a_build_is_alive_meanwhile(
    orders: Orders, caplog: pytest.LogCaptureFixture
) -> None:
    told, states = Stop(), Told()
    health = HealthReporter("node", states, {})

    def build() -> None:
        with orders.open() as file:
            file.write("0.62\n")
            deadline_s = time.monotonic() + LIMIT_S
            while len(states.states) < 2 and time.monotonic() < deadline_s:
                select.select([], [], [], 0.01)

    builder = threading.Thread(target=build)
    builder.start()
    with caplog.at_level(logging.INFO):
        assert build_now(orders.command, told, health)
    builder.join()
    assert set(states.states) == {"building"}
    assert "building image.onnx, 62%, about 25 s left" in caplog.text


def test_a_stop_ends_a_build(orders: Orders) -> None:
    stop = Stop()
    stop.ask()
    began_s = time.monotonic()
    assert not build_now(orders.command, stop, HealthReporter("node", Told(), {}))
    assert time.monotonic() - began_s < LIMIT_S / 4


def test_a_service_manager_is_asked_for_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LIMIT_S)
        service, told = Service(config()), list[Health]()
        reporter = HealthReporter("node", SimpleNamespace(send=told.append), {})
        reporter.report("building")
        service.beat(None, told[-1])
        said = manager.recv(4096).decode()
        assert said.startswith("EXTEND_TIMEOUT_USEC=60000000\nSTATUS=building")
        reporter.report("running")
        service.beat(None, told[-1])
        assert manager.recv(4096).decode() == "READY=1"
