"""Sweeps and overloads: the search for a limit, what counts as late, what is called broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.arguments import parser
from pipeline.child import Stop
from pipeline.error import SensoriumError
from pipeline.latency import limit_command
from pipeline.latency.load import Load, Sent, config_of
from pipeline.latency.load_run import Loaded, Ticks, span_of
from pipeline.latency.overload import broken
from pipeline.latency.sweep import Ask, Point, lines, run_sweep, search
from pipeline.latency.sweep_page import sweep_page, write_sweep_page

MS = 1_000_000
LOAD = Load(cameras=2, microphones=1, rate_hz=10, size_px=(640, 480))


def up_to(limit_hz: float) -> Callable[[Load], bool]:
    return lambda load: load.rate_hz <= limit_hz


@pytest.mark.parametrize("limit_hz", [15, 29, 100, 333, 500])
def test_the_search_ends_close_below_the_limit(limit_hz: float) -> None:
    found = search(LOAD, up_to(limit_hz))
    assert found is not None
    assert limit_hz / 1.42 <= found.rate_hz <= limit_hz
    assert (found.cameras, found.size_px) == (2, (640, 480))


def test_a_machine_that_holds_nothing_and_one_that_holds_all() -> None:
    assert search(LOAD, up_to(1)) is None
    most = search(LOAD, up_to(10_000))
    assert most is not None
    assert most.rate_hz == 640


def test_every_number_of_cameras_meets_every_size() -> None:
    found = [str(load) for load in lines([1, 4], [(640, 480), (1280, 720)])]
    assert found[0] == "1 camera at 10 Hz (640x480), 1 microphone"
    assert found[-1] == "4 cameras at 10 Hz (1280x720), 4 microphones"
    assert len(found) == 4


def loaded(rows: list[tuple[int, int, int]]) -> Loaded:
    """Of (tick in ms, emit in ms, seq), at 100 Hz with a deadline of 50 ms."""
    ticks = Ticks()
    for tick_ms, emit_ms, seq in rows:
        ticks.tick_ns.append(tick_ms * MS)
        ticks.emit_ns.append(emit_ms * MS)
        ticks.seq.append(seq)
    config = config_of(msgspec.structs.replace(LOAD, rate_hz=100), deadline_ms=50, bundle="home")
    sent = Sent(begun_ns=[0, 1], pictures=1, late=0)
    return Loaded(config=config, ticks=ticks, sent=sent, result={})


def test_a_tick_that_was_left_out_is_late_until_the_next_prediction() -> None:
    span = span_of(loaded([(0, 1, 0), (10, 41, 1), (40, 42, 2), (50, 101, 3)]), 0, 10**12)
    assert (span.n_ticks, span.n_left_out, span.n_late) == (6, 2, 1)
    assert sorted(span.latency_ms) == [1, 2, 12, 22, 31, 51]
    assert span.late_share == 0.5


def test_a_prediction_that_was_not_seen_says_nothing() -> None:
    span = span_of(loaded([(0, 1, 0), (40, 41, 4)]), 0, 10**12)
    assert (span.n_ticks, span.n_left_out) == (2, 0)


def test_a_span_has_the_ticks_of_its_time_alone() -> None:
    rows = [(10 * n, 10 * n + 1, n) for n in range(100)]
    assert span_of(loaded(rows), 200 * MS, 300 * MS).n_ticks == 10
    assert span_of(loaded(rows), 2000 * MS, 3000 * MS).late_share == 1.0


def side(late: float, **other: Any) -> dict[str, Any]:
    books = {"captured": 10, "delivered": 7, "dropped": {"superseded": 3}}
    return {
        "spans": {"overload_after_5_s": {"late_share": late}},
        "full_rate_after_s": 4.0,
        "full_rate_at_end": True,
        "masked_ticks": {},
        "ledger": {"camera/c1": books},
    } | other


def test_what_did_not_hold_is_named() -> None:
    assert list(broken(side(0.002), side(0.6))) == []
    assert list(broken(side(0.02), side(0.6))) == ["governed: 2.00% late after 5 s of overload"]
    assert list(broken(side(0.0), side(0.0))) == [
        "without a governor nothing was late: that was no overload"
    ]
    slow = side(0.0, full_rate_after_s=11.0, masked_ticks={"camera/c1": 2})
    assert list(broken(slow, side(0.6))) == [
        "governed: not back at full rate 10 s after the overload",
        "governed: camera/c1 was masked in 2 ticks",
    ]
    open_books = side(0.6, ledger={"text/t1": {"captured": 3, "delivered": 1, "dropped": {}}})
    assert "the books of text/t1 do not close" in next(broken(side(0.0), open_books))


def point(rate_hz: float, p99_ms: float, *, holds: bool) -> dict[str, Any]:
    load = msgspec.structs.replace(LOAD, rate_hz=rate_hz)
    made = Point(
        load=load,
        holds=holds,
        p50_ms=p99_ms / 2,
        p99_ms=p99_ms,
        late_share=0.0 if holds else 0.3,
        ticks=100,
        left_out=0,
        sender_late=0,
        dropped={},
    )
    found: dict[str, Any] = msgspec.to_builtins(made)
    return found


def test_the_page_shows_each_line_and_the_deadline(tmp_path: Path) -> None:
    points = [point(15, 2.0, holds=True), point(30, 80.0, holds=False), point(30, 60, holds=False)]
    found = {
        "deadline_ms": 50.0,
        "late_share_allowed": 0.01,
        "points": points,
        "capacity": [{**points[0], "text": "<2> cameras"}],
        "conditions": {"cpu": "one"},
    }
    page = sweep_page(found)
    assert "&lt;2&gt; cameras" in page
    assert page.count("<circle") == 2  # of two tries of a load the better one
    assert "stroke-dasharray" in page
    assert "2 cameras, 640x480" in page
    with pytest.raises(SensoriumError, match="cannot be written"):
        write_sweep_page(tmp_path / "no" / "page.html", found)


def test_sizes_are_written_as_people_do(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = parser().parse_args(["bench", "sweep", "--sizes", "1280x720", "--cameras", "2"])
    assert (arguments.sizes, arguments.cameras) == ([(1280, 720)], [2])
    for wrong in ("1280", "axb", "1x1", "640x480x3"):
        with pytest.raises(SystemExit):
            parser().parse_args(["bench", "sweep", "--sizes", wrong])
        assert "write a size as 640x480" in capsys.readouterr().err


def test_more_sensors_than_the_bundle_takes_are_refused_at_once() -> None:
    ask = Ask(bundle="home", deadline_ms=50, seconds=1, stop=Stop())
    with pytest.raises(SensoriumError, match=r"fusion\.inputs\.image: 6 streams; bundle home"):
        run_sweep(list(lines([1, 6], [(640, 480)])), ask, lambda point: None)


def test_a_start_needs_something_to_start() -> None:
    arguments = parser().parse_args(["bench", "start"])
    with pytest.raises(SensoriumError, match="name a TOML file"):
        limit_command.bench_limits(arguments)
