"""Text events from lines, plain and JSON, good and bad."""

from __future__ import annotations

import json
import socket
import time
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stream import Text
from sensors.text import events, parse
from tests import parts

STREAM = "text/events"


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text().map(lambda text: ('{"text": ' + text).encode()))
def test_any_line_is_an_event_or_a_value_error(line: bytes) -> None:
    try:
        text, fields = parse(line)
    except ValueError:
        return
    assert isinstance(text, str)
    assert isinstance(fields, dict)


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.floats(-1e9, 1e9) | st.text()))
def test_fields_survive(fields: dict[str, Any]) -> None:
    line = json.dumps(fields | {"text": "door"}).encode()
    assert parse(line) == ("door", {key: fields[key] for key in fields if key != "text"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"  hello \r", ("hello", {})),
        ("grüße".encode(), ("grüße", {})),
        (b"[1, 2]", ("[1, 2]", {})),
        (b'{"text": " a ", "by": {"id": 7}}', (" a ", {"by": {"id": 7}})),
        (b" \t", ("", {})),
        (b"", ("", {})),
    ],
)
def test_a_good_line(line: bytes, expected: object) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b'{"text": "caf\xe9"}',
        b"{no json",
        b'{"text": 5}',
        b'{"say": "hello"}',
        b'{"text": "a", "n": NaN}',
        b'{"text": "a", "n": 1e999}',
        b'{"text": "a", "n": 18446744073709551616}',
        b'{"text": "\\ud800"}',
        b'{"text": "a", "deep": ' + b"[" * 9 + b"]" * 9 + b"}",
        b'{"text": ' * 7000,
    ],
)
def test_a_bad_line(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse(line)


def test_events_are_numbered_and_bad_lines_counted() -> None:
    port, counters = parts.free_port(), dict[str, int]()
    config = Text(source=f"tcp://127.0.0.1:{port}")
    sensor: Any = events(config, stream=STREAM, counters=counters)
    with closing(sensor):
        assert next(sensor) is None
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
            sender.sendall(b'before\n\xff\xfe\n{broken\n\n{"text": "after", "room": "hall"}\n')
            before, after = parts.take(sensor, 2)
    assert [(e.stream, e.seq, e.text) for e in (before, after)] == [
        (STREAM, 0, "before"),
        (STREAM, 1, "after"),
    ]
    assert after.fields == {"room": "hall"}
    assert before.t_publish_ns == before.t_capture_ns <= time.monotonic_ns()
    assert counters == {"malformed": 2, "oversized": 0, "refused": 0}
