"""How far apart the newest samples of two streams lie, as predictions and measurements tell."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.latency.measurement import Measurement
from pipeline.skew import skews_ns
from tests.pipeline.home import CAMERA, TICK_NS, config
from tests.pipeline.messages import prediction

MS = 1_000_000


def test_pairs_of_what_senses_all_the_time_have_a_skew() -> None:
    ages_ns = {"microphone/b": 90 * MS, "camera/a": 20 * MS, "camera/c": 50 * MS, "text/d": 0}
    assert skews_ns(replace(prediction(0, {"fall": 1.0}), ages_ns=ages_ns)) == {
        "camera/a camera/c": 30 * MS,
        "camera/a microphone/b": 70 * MS,
        "camera/c microphone/b": 40 * MS,
    }
    assert skews_ns(replace(prediction(0, {"fall": 1.0}), ages_ns={CAMERA: 5})) == {}


def test_a_measurement_has_its_percentiles() -> None:
    found = Measurement(config(), 0.0)
    for n in range(100):
        ages_ns = {CAMERA: 10 * MS, "microphone/b": 10 * MS + n * MS}
        made = prediction(n * TICK_NS, {"fall": 1.0})
        emit_ns = n * TICK_NS + MS
        found.add(replace(made, seq=n, t_emit_ns=emit_ns, ages_ns=ages_ns))
    (pair,) = found.skews
    assert pair == f"{CAMERA} microphone/b"
    assert found.skews[pair].summary_ms()["p50"] == pytest.approx(49, abs=1)
