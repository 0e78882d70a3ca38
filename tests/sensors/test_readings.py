"""Readings from lines of JSON."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sample import Reading
from pipeline.stream import Readings
from sensors.readings import parse, readings
from tests import parts

STREAM = "readings/bench"


@pytest.fixture
def counters() -> dict[str, int]:
    return {}


def read(tmp_path: Path, lines: list[str], n: int, counters: dict[str, int]) -> list[Reading]:
    """What n readings a followed file with these lines gives."""
    path = tmp_path / "readings.jsonl"
    sensor: Any = readings(Readings(source=str(path)), stream=STREAM, counters=counters)
    with closing(sensor):
        assert next(sensor) is None
        path.write_text("\n".join(lines) + "\n")
        taken: list[Reading] = parts.take(sensor, n)
        return taken


def test_a_reading_has_values_names_and_units(tmp_path: Path, counters: dict[str, int]) -> None:
    lines = [
        '{"values": {"temperature": 21.5, "humidity": 40}, "units": {"temperature": "°C"}}',
        '{"humidity": 41, "temperature": 21.25}',
    ]
    first, second = read(tmp_path, lines, 2, counters)
    assert first.names == second.names == ("temperature", "humidity")
    assert first.units == second.units == ("°C", "")
    assert first.values.tolist() == [21.5, 40.0]
    assert second.values.tolist() == [21.25, 41.0]
    assert first.values.dtype == np.float32
    assert (first.seq, second.seq, first.stream) == (0, 1, STREAM)
    with pytest.raises(ValueError, match="read-only"):
        first.values[0] = 0


def test_bad_lines_are_counted_and_good_ones_around_them_arrive(
    tmp_path: Path, counters: dict[str, int]
) -> None:
    bad = [
        '{"b": 1}',
        '{"a": 1, "b": 2}',
        '{"values": {"a": 1}, "units": {"a": "lx"}}',
        '{"a": NaN}',
        '{"a": "2"}',
    ]
    first, last = read(tmp_path, ['{"a": 1}', *bad, "", '{"a": 2}'], 2, counters)
    assert [first.values.tolist(), last.values.tolist()] == [[1.0], [2.0]]
    assert counters == {"malformed": len(bad), "oversized": 0, "refused": 0}


def test_a_value_may_be_named_values() -> None:
    assert parse(b'{"values": 3}').values == {"values": 3.0}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"21.5",
        b"[21.5]",
        b"{}",
        b'{"a": true}',
        b'{"a": null}',
        b'{"a": [1]}',
        b'{"a": 1e39}',
        b'{"a": 1e999}',
        b'{"a": Infinity}',
        b'{"a": 1' + b"0" * 400 + b"}",
        b'{"values": {"a": 1}, "units": {"b": "m"}}',
        b'{"values": {"a": 1}, "unit": {"a": "m"}}',
        b'{"\xff": 1}',
        b'{"values": ' * 6000,
    ],
)
def test_a_bad_line(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse(line)


@settings(deadline=None)
@given(st.binary(max_size=100) | st.text().map(lambda text: ('{"a": ' + text).encode()))
def test_any_line_is_a_reading_or_a_value_error(line: bytes) -> None:
    try:
        parsed = parse(line)
    except ValueError:
        return
    assert all(np.isfinite(np.float32(value)) for value in parsed.values.values())


numbers = st.integers(-(2**70), 2**70) | st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), numbers, min_size=1))
def test_values_survive(values: dict[str, float]) -> None:
    assert parse(json.dumps(values).encode()).values == pytest.approx(values)
