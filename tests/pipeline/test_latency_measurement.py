"""What a measurement makes of predictions: percentiles, warm-up, deadlines, ticks left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from pipeline.latency.histogram import Histogram, write_log
from pipeline.latency.measurement import Measurement
from pipeline.prediction import STAGES, Prediction
from tests.pipeline.home import CAMERA, TICK_NS, config

START_NS = 5_000 * TICK_NS
MS_NS = 1_000_000


def prediction(
    seq: int, tick_ns: int, took_ns: int, *, stages_ns: dict[str, int] | None = None, frame: int = 0
) -> Prediction:
    """One that says that its tick took so long, 30 ms after the frame was captured."""
    durations = dict.fromkeys(STAGES, 0) | (stages_ns or {})
    age_ns = sum(durations.values()) - took_ns
    return Prediction(
        stream="prediction/demo",
        seq=seq,
        t_capture_ns=tick_ns,
        t_publish_ns=tick_ns + took_ns,
        outputs={"situation": {"quiet": 1.0}},
        inputs={CAMERA: [(frame or seq, tick_ns - age_ns)]},
        ages_ns={CAMERA: age_ns},
        missing=[],
        weights={CAMERA: 1.0},
        backend={"requested": "onnxruntime", "active": "onnxruntime"},
        stages_ns={CAMERA: tuple(durations.values())},
        t_emit_ns=tick_ns + took_ns,
    )


def measured(*took_ms: float, warm_up_s: float = 0.0) -> Measurement:
    found = Measurement(config("fusion.deadline_ms=50"), warm_up_s)
    for n, ms in enumerate(took_ms):
        found.add(prediction(n, START_NS + n * TICK_NS, round(ms * MS_NS)))
    return found


def test_percentiles_are_those_of_numpy_to_one_part_in_a_thousand() -> None:
    values = np.random.default_rng(4).lognormal(14, 1, 20_000).astype(int)
    histogram = Histogram()
    for value in values:
        histogram.add(int(value))
    found = histogram.summary_ms()
    for name, percentile in (("p50", 50), ("p90", 90), ("p99", 99), ("p999", 99.9), ("max", 100)):
        exact_ms = float(np.percentile(values, percentile)) / 1e6
        assert found[name] == pytest.approx(exact_ms, rel=0.003), name
    assert found["mean"] == pytest.approx(values.mean() / 1e6, rel=1e-3)


def test_what_is_negative_is_counted_apart() -> None:
    histogram = Histogram()
    histogram.add(-1)
    histogram.add(10)
    assert (len(histogram), histogram.n_outside) == (1, 1)


def test_an_hlog_file_is_read_by_the_library(tmp_path: Path) -> None:
    histogram = Histogram()
    for value_ns in (1000, 2000, 5_000_000):
        histogram.add(value_ns)
    path = tmp_path / "run.hlog"
    write_log(path, [("latency", histogram), ("empty", Histogram())], 2.5)
    reader = HistogramLogReader(str(path), HdrHistogram(1, 10**10, 3))
    read = reader.get_next_interval_histogram()
    assert read.get_total_count() == 3
    assert read.get_max_value() == pytest.approx(5_000_000, rel=0.001)
    assert read.get_tag() == "latency"
    assert reader.get_next_interval_histogram() is None
    reader.close()


def test_the_warm_up_is_counted_and_left_out() -> None:
    found = measured(900, *[10] * 20, warm_up_s=1.0)
    # The first is emitted 0.9 s late; a second later is that which is emitted at 1.91 s.
    assert (found.n_warm_up, len(found.latency)) == (19, 2)
    assert found.latency.summary_ms()["max"] == pytest.approx(10, rel=0.001)


def test_a_miss_is_a_latency_beyond_the_deadline() -> None:
    assert measured(49, 50, 51, 60).n_missed == 2


def test_jitter_is_the_change_from_one_prediction_to_the_next() -> None:
    assert measured(10, 14, 11).jitter.summary_ms()["max"] == pytest.approx(4, rel=0.001)


def test_a_node_that_stalls_is_late_for_every_tick_that_it_left_out() -> None:
    found = Measurement(config(), 0.0)
    found.add(prediction(0, START_NS, MS_NS))
    found.add(prediction(1, START_NS + 5 * TICK_NS, MS_NS))  # four ticks are gone
    assert found.n_left_out == 4
    assert (len(found.latency), len(found.corrected)) == (2, 6)
    assert found.latency.summary_ms()["max"] == pytest.approx(1, rel=0.001)
    assert found.corrected.summary_ms()["max"] == pytest.approx(401, rel=0.001)


def test_what_was_lost_on_the_way_to_us_is_no_stall() -> None:
    found = Measurement(config(), 0.0)
    found.add(prediction(0, START_NS, MS_NS))
    found.add(prediction(5, START_NS + 5 * TICK_NS, MS_NS))
    assert (found.n_left_out, found.n_unseen) == (0, 4)


def test_with_a_clock_latency_begins_at_the_capture_of_its_sample() -> None:
    found = Measurement(config(f"fusion.clock={CAMERA}", "fusion.tick_hz=10"), 0.0)
    stages = {"publish": 30 * MS_NS, "arrive": 2 * MS_NS, "fuse": 3 * MS_NS}
    found.add(prediction(0, START_NS, 5 * MS_NS, stages_ns=stages))
    assert found.latency.summary_ms()["max"] == pytest.approx(35, rel=0.001)
    late = prediction(1, START_NS + 3 * TICK_NS, 5 * MS_NS, stages_ns=stages, frame=3)
    found.add(late)  # two frames were superseded meanwhile
    assert found.n_left_out == 3 - 1
    assert found.corrected.summary_ms()["max"] == pytest.approx(235, rel=0.001)


def test_a_delay_in_one_of_fifty_shows_at_its_stage_and_percentile() -> None:
    found = Measurement(config(), 0.0)
    for n in range(1000):
        encode_ns = (20 if n % 50 == 7 else 1) * MS_NS
        stages = {"arrive": MS_NS, "encode": encode_ns, "fuse": MS_NS}
        found.add(prediction(n, START_NS + n * TICK_NS, sum(stages.values()), stages_ns=stages))
    encode = found.stages["encode"].summary_ms()
    assert encode["p90"] == pytest.approx(1, rel=0.001)
    assert encode["p99"] == pytest.approx(20, rel=0.001)
    others = [found.stages[s].summary_ms()["max"] for s in STAGES if s != "encode"]
    assert max(others) == pytest.approx(1, rel=0.001)


def test_a_sum_that_is_wrong_is_seen() -> None:
    from msgspec.structs import replace

    found, right = Measurement(config(), 0.0), prediction(0, START_NS, MS_NS)
    found.add(replace(right, t_emit_ns=right.t_emit_ns + 1500))
    assert found.sum_error_max_ns == 1500
