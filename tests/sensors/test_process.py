"""The publishing loop of a sensor: when it starts, and what it survives."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.child import HealthReporter, Stop
from pipeline.error import ConfigError, SensorLostError
from pipeline.sample import Sample, TextEvent
from pipeline.stream import Text
from sensors.process import RECORDER_S, Publishing
from sensors.watchdog import Watchdog

STREAM = "text/a"
LIMIT_S = 10.0


def text(content: str) -> TextEvent:
    return TextEvent(stream=STREAM, seq=0, t_capture_ns=0, t_publish_ns=0, text=content)


def publishing(publisher: Publisher, source: Flaky, stop: Stop) -> Publishing:
    health = HealthReporter(STREAM, publisher, {"captured": 0})
    return Publishing(source, publisher, health, Watchdog(Text(source="")), stop)


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
        waiting = threading.Thread(
            target=loop.wait_for_readers, args=[STREAM], kwargs={"recorded": False}
        )
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
        loop.wait_for_readers(STREAM, recorded=True)
        assert time.monotonic() - began_s < 1.0
    reader.close()
    health.close()


def test_a_sensor_that_is_recorded_waits_for_the_recorder_too_but_not_for_ever(
    tmp_path: Path,
) -> None:
    endpoint, stop = f"ipc://{tmp_path}/s.ipc", Stop()
    table = {STREAM: (endpoint, Text(source=""))}
    with Publisher(endpoint) as publisher:
        loop = publishing(publisher, Flaky(), stop)
        recorder = Subscriber(table, observer=True)
        waiting = threading.Thread(
            target=loop.wait_for_readers, args=[STREAM], kwargs={"recorded": True}
        )
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()  # a recorder alone is no reader
        node = Subscriber(table)
        waiting.join(LIMIT_S)
        assert not waiting.is_alive()
        publisher.send(text("first"))
        for reader in (node, recorder):
            assert heard(reader) == "first"
        recorder.close()
        node.close()
    with Publisher(endpoint) as publisher, closing(Subscriber(table)):
        loop, began_s = publishing(publisher, Flaky(), stop), time.monotonic()
        loop.wait_for_readers(STREAM, recorded=True)  # whose recorder has failed
        assert RECORDER_S <= time.monotonic() - began_s < LIMIT_S


def heard(reader: Subscriber) -> str:
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        for sample in reader.receive(50):
            assert isinstance(sample, TextEvent)
            return sample.text
    raise AssertionError("nothing was heard")
