"""A stuck thermometer, and readings that come seldom: named where somebody says what is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from pipeline.sample import Reading
from pipeline.stream import Readings
from tests.sensors.test_watchdog import SECOND_NS, named


def measured(values: Iterable[float], rate_hz: float = 10.0) -> Iterator[Reading]:
    """A thermometer's readings."""
    for n, value in enumerate(values):
        t_ns = round(n * SECOND_NS / rate_hz)
        yield Reading(
            stream="readings/a",
            seq=n,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns,
            values=np.array([value, 40.0], np.float32),
            names=("temperature", "humidity"),
            units=("°C", "%"),
        )


def test_a_stuck_thermometer_is_named_where_the_configuration_says_how_long() -> None:
    """Readings that round, or of a switch, are the same for hours: nobody else can tell."""
    noise = np.random.default_rng(3).normal(21, 0.1, 100)
    seen = list(measured([*noise[:50], *[21.5] * 100, *noise[50:]]))
    (begun_s, faults), (ended_s, after) = named(Readings(source="a.jsonl", frozen_s=5.0), seen)
    assert (faults, after) == (["frozen"], [])
    assert 10.0 < begun_s < 10.5
    assert 15.0 < ended_s < 16.0
    assert named(Readings(source="a.jsonl"), seen) == []
    assert named(Readings(source="a.jsonl", frozen_s=20.0), seen) == []


@pytest.mark.parametrize(("rate_hz", "faults"), [(None, []), (10.0, []), (50.0, ["slow"])])
def test_readings_have_a_pace_where_the_configuration_says_which(
    rate_hz: float | None, faults: list[str]
) -> None:
    line = Readings(source="a.jsonl", rate_hz=rate_hz)
    changes = named(line, measured(np.linspace(20, 22, 120)))
    assert [found for _, found in changes] == [faults] * bool(faults)
