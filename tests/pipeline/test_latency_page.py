"""The page with plots: well formed, whole in itself, and true to the numbers."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from pipeline.latency.live_run import Outcome
from pipeline.latency.page import page
from pipeline.latency.plot import nice_marks, over_time, percentile_curve, stacked_bars
from pipeline.latency.result import result, text
from tests.pipeline.home import config
from tests.pipeline.test_latency_measurement import measured


def outcome(mode: str = "live") -> Outcome:
    found = measured(*[5.0 + n % 7 for n in range(200)])
    return Outcome(
        mode=mode,
        config=config("fusion.deadline_ms=50"),
        measured=found,
        wall_s=found.length_s,
        first_prediction_s=1.25,
        ledger={"dropped": {"superseded": 3}, "streams": {}},
        processes={"node": {"cpu_s": 1.5, "resident_bytes": 10**8, "peak_bytes": 2 * 10**8}},
    )


@pytest.mark.parametrize("mode", ["live", "paced", "flat"])
def test_the_page_needs_nothing_but_itself(mode: str) -> None:
    made = page(result(outcome(mode)))
    assert not re.search(r"https?:|<script|<link|src=|@import|url\(", made)
    for svg in re.findall(r"<svg.*?</svg>", made, re.DOTALL):
        ElementTree.fromstring(svg)
    assert made.count("<svg") == (3 if mode == "flat" else 4)


def test_the_result_has_what_scripts_ask_for() -> None:
    found = result(outcome())
    assert {"p50", "p90", "p99", "p999", "max"} <= found["latency_ms"].keys()
    assert all({"p50", "p99"} <= stage.keys() for stage in found["stages_ms"].values())
    assert found["sum_error_us_max"] == 0
    assert found["overhead_ratio"] is None
    assert (found["deadline_missed"], found["dropped"]) == (0, {"superseded": 3})
    assert found["first_prediction_s"] == 1.25
    assert found["conditions"]["bundle_sha256"]
    assert len(found["series"]) == 200
    assert "3 superseded" in text(found)


def test_what_lies_between_two_clocks_is_not_told() -> None:
    found = result(outcome("flat"))
    assert "arrive" not in found["stages_ms"]
    assert found["corrected_latency_ms"] is None
    assert found["deadline_missed"] is None


def test_names_are_escaped() -> None:
    found: dict[str, Any] = result(outcome()) | {"name": "<script>"}
    assert "<script>" not in page(found)


def test_a_plot_shows_the_highest_of_many_points() -> None:
    series = [(n / 1000, 1.0) for n in range(50_000)]
    series[31_337] = (31.337, 99.0)
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', over_time(series, None))]
    assert len(heights) <= 4001
    assert heights.count(min(heights)) == 1


def test_bars_are_as_long_as_their_parts() -> None:
    drawn = stacked_bars({"camera/a": {"encode": 3.0, "fuse": 1.0}})
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn)]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)


def test_the_curve_rises() -> None:
    drawn = percentile_curve({"latency": [(0.0, 1.0), (50.0, 2.0), (99.0, 9.0), (100.0, 10.0)]})
    points = re.findall(r"([\d.]+),([\d.]+)", re.findall(r'points="([^"]+)"', drawn)[0])
    assert len(points) == 3  # the last of all lies nowhere on a scale of nines
    assert [float(x) for x, _ in points] == sorted(float(x) for x, _ in points)


@pytest.mark.parametrize("high", [0.0, 0.00013, 0.9, 1.0, 7.0, 49.9, 12345.0])
def test_marks_are_round_and_reach_the_highest(high: float) -> None:
    marks = [value for value, _ in nice_marks(high)]
    assert marks[0] == 0
    assert marks[-1] >= high
    assert 2 <= len(marks) <= 8
