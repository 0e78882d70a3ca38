"""The publishing loop of a sensor: when it starts, and what it survives."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from pipeline.child import HealthReporter, Stop
from pipeline.config import Text
from pipeline.error import ConfigError, SensorLostError
from pipeline.publisher import Publisher
from pipeline.sample import Sample, TextEvent
from pipeline.subscriber import Subscriber
from sensors.process import Publishing

STREAM = "text/a"
LIMIT_S = 10.0


def text(content: str) -> TextEvent:
    return TextEvent(stream=STREAM, seq=0, t_capture_ns=0, t_publish_ns=0, text=content)


def publishing(publisher: Publisher, source: Flaky, stop: Stop) -> Publishing:
    return Publishing(source, publisher, HealthReporter(STREAM, publisher, {"captured": 0}), stop)


class Flaky:
    """A source that says one thing each time it is opened, and then fails as told."""

    def __init__(self, *faults: Exception) -> None:
        self._faults = list(faults)
        self.n_opened = 0

    def __call__(self) -> Generator[Sample | None, None, None]:
        self.n_opened += 1
        yield text(str(self.n_opened))
        if self._faults:
            raise self._faults.pop(0)


class Broken(Flaky):
    """A source that never worked."""

    def __call__(self) -> Generator[Sample | None, None, None]:
        self.n_opened += 1
        yield None
        raise self._faults.pop(0)


def test_what_has_worked_before_is_lost_and_opened_again(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/s.ipc"
    source, stop = Flaky(ConfigError("a.mp4: no such file"), SensorLostError("away")), Stop()
    subscriber = Subscriber({STREAM: (endpoint, Text(source=""))}, [endpoint])
    with Publisher(endpoint) as publisher:
        assert publisher.wait_for_subscriber(STREAM, LIMIT_S)
        loop = threading.Thread(target=publishing(publisher, source, stop).run)
        loop.start()
        said: list[str] = []
        deadline_s = time.monotonic() + LIMIT_S
        while len(said) < 3 and time.monotonic() < deadline_s:
            said += [s.text for s in subscriber.receive(20) if isinstance(s, TextEvent)]
        stop.ask()
        loop.join(LIMIT_S)
    assert said == ["1", "2", "3"]
    assert subscriber.health[STREAM].last_error == "away"
    subscriber.close()


def test_what_never_worked_is_a_configuration_error(tmp_path: Path) -> None:
    with Publisher(f"ipc://{tmp_path}/s.ipc") as publisher:
        loop = publishing(publisher, Broken(ConfigError("a.mp4: no such file")), Stop())
        with pytest.raises(ConfigError):
            loop.run()


def test_a_sensor_waits_for_its_first_reader_or_the_stop(tmp_path: Path) -> None:
    endpoint, stop = f"ipc://{tmp_path}/s.ipc", Stop()
    with Publisher(endpoint) as publisher:
        loop = publishing(publisher, Flaky(), stop)
        waiting = threading.Thread(target=loop.wait_for_reader, args=[STREAM])
        waiting.start()
        health = Subscriber({}, [endpoint])  # who reads only this does not count
        while STREAM not in health.health:
            assert not list(health.receive(20))
        assert waiting.is_alive()
        reader = Subscriber({STREAM: (endpoint, Text(source=""))})
        waiting.join(LIMIT_S)
        assert not waiting.is_alive()
        stop.ask()
        began_s = time.monotonic()
        loop.wait_for_reader(STREAM)
        assert time.monotonic() - began_s < 1.0
    reader.close()
    health.close()
