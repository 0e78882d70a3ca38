"""Text events and readings from a topic of a real MQTT broker."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.error import SensorLostError
from pipeline.stream import Readings, Text
from sensors.readings import readings
from sensors.text import events
from tests.broker import broker, listener
from tests.parts import free_port, seconds_until_error, take


def until_it_listens(source: Generator[object, None, None], counters: dict[str, int]) -> None:
    """Pull until what the broker has kept was heard, and was no sample."""
    deadline_s = time.monotonic() + 10.0
    while not counters.get("retained"):
        assert time.monotonic() < deadline_s, "it does not listen"
        assert next(source) is None


def test_messages_become_events_but_for_those_that_were_kept(tmp_path: Path) -> None:
    with broker(tmp_path) as hub, listener(hub.port) as voice:
        voice.say("doors/front", "open since yesterday", retain=True)
        counters: dict[str, int] = {}
        line = Text(source=f"mqtt://127.0.0.1:{hub.port}/doors/#")
        with closing(events(line, stream="text/doors", counters=counters)) as source:
            until_it_listens(source, counters)
            voice.say("doors/front", "front door open")
            voice.say("windows/a", "not for us")
            voice.say("doors/back", '{"text": "back door", "open": true}')
            voice.say("doors/back", '{"open": true}')
            voice.say("doors/back", "x" * 70_000)
            voice.say("doors/back", "two\nlines")
            found = take(source, 3)
    assert [(x.text, x.fields) for x in found] == [
        ("front door open", {}),
        ("back door", {"open": True}),
        ("two\nlines", {}),
    ]
    assert counters == {"malformed": 1, "oversized": 1, "retained": 1}


def test_readings_come_from_a_topic_too(tmp_path: Path) -> None:
    with broker(tmp_path) as hub, listener(hub.port) as voice:
        line = Readings(source=f"mqtt://127.0.0.1:{hub.port}/climate/+")
        voice.say("climate/bath", '{"temperature": 1}', retain=True)
        counters: dict[str, int] = {}
        with closing(readings(line, stream="readings/climate", counters=counters)) as source:
            until_it_listens(source, counters)
            voice.say("climate/bath", '{"temperature": 21.5}')
            (found,) = take(source, 1)
    assert (found.names, found.values.tolist()) == (("temperature",), [21.5])


def test_a_broker_that_is_not_there_or_goes_away_is_a_lost_sensor(tmp_path: Path) -> None:
    line = Text(source=f"mqtt://127.0.0.1:{free_port()}/a")
    with closing(events(line, stream="text/a")) as source:
        assert seconds_until_error(source, SensorLostError, "no broker answers at 127.0.0.1") < 5
    with broker(tmp_path) as hub, listener(hub.port) as voice:
        line = Text(source=f"mqtt://127.0.0.1:{hub.port}/a")
        voice.say("a", "old", retain=True)
        counters: dict[str, int] = {}
        with closing(events(line, stream="text/a", counters=counters)) as source:
            until_it_listens(source, counters)
            voice.say("a", "hello")
            assert take(source, 1)[0].text == "hello"
            hub.stop()
            assert seconds_until_error(source, SensorLostError, "is gone") < 5


def test_a_broker_that_refuses_us_says_so(tmp_path: Path) -> None:
    with broker(tmp_path, "allow_anonymous false") as hub:
        line = Text(source=f"mqtt://127.0.0.1:{hub.port}/a")
        with (
            closing(events(line, stream="text/a")) as source,
            pytest.raises(SensorLostError) as why,
        ):
            for _ in source:
                pass
    assert "refuses: Not authorized" in str(why.value)
