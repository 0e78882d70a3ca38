"""What a device is late by is taken from capture times, and from nothing else."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pipeline.error import ConfigError
from pipeline.loader import check
from pipeline.sample import Sample, TextEvent
from pipeline.stream import Microphone
from sensors.offset import earlier
from sensors.process import source_of

MS = 1_000_000


def events() -> Generator[Sample | None, None, None]:
    yield None
    for n in range(3):
        t_ns = (n + 1) * 100 * MS
        yield TextEvent(stream="text/a", seq=n, t_capture_ns=t_ns, t_publish_ns=t_ns, text="x")


def test_capture_times_move_and_nothing_else() -> None:
    moved, plain = list(earlier(events, 35 * MS)()), list(events())
    assert moved[0] is None
    for before, after in zip(plain[1:], moved[1:], strict=True):
        assert before is not None
        assert after is not None
        assert after.t_capture_ns == before.t_capture_ns - 35 * MS
        assert (after.t_publish_ns, after.seq) == (before.t_publish_ns, before.seq)


def test_without_an_offset_the_source_is_as_it_was() -> None:
    assert earlier(events, 0) is events


def test_a_source_that_is_closed_closes_its_device() -> None:
    closed = []

    def device() -> Generator[Sample | None, None, None]:
        try:
            yield from events()
        finally:
            closed.append(True)

    made = earlier(device, MS)()
    next(made)
    made.close()
    assert closed == [True]


def test_the_configured_offset_is_applied_by_the_sensor(tmp_path: Path) -> None:
    table: dict[str, Any] = {"name": "x", "microphone": {"a": {"source": "simulator"}}}
    plain = check(table, "test")
    table["microphone"]["a"]["offset_ms"] = 250
    late = check(table, "test")
    assert isinstance(late.streams["microphone/a"], Microphone)
    ages_ns = []
    for config in (plain, late):
        publisher: Any = None  # the simulator needs none
        made = source_of(config, "microphone/a", {}, publisher)()
        sample = next(s for s in made if s is not None)
        ages_ns.append(sample.t_publish_ns - sample.t_capture_ns)
        made.close()
    assert ages_ns[1] - ages_ns[0] == 250 * MS


@pytest.mark.parametrize("keys", [{"offset_ms": -1}, {"offset_ms": 2001}])
def test_an_offset_has_bounds(keys: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"microphone\.a\.offset_ms"):
        check({"name": "x", "microphone": {"a": {"source": 0, **keys}}}, "test")


@pytest.mark.parametrize("source", ["remote", "external"])
def test_an_offset_is_set_where_the_sensor_runs(source: str) -> None:
    line: dict[str, Any] = {"source": source, "offset_ms": 3}
    if source == "remote":
        line |= {"endpoint": "tcp://127.0.0.1:5600"}
    with pytest.raises(
        ConfigError, match=r"microphone\.a\.offset_ms: is set where the sensor runs"
    ):
        check({"name": "x", "microphone": {"a": line}}, "test")
