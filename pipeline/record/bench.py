"""`sensorium bench record`: what a recorder costs the node.

Whole runs of a simulated VGA camera at 30 Hz, sound and text, in turn without and with a recorder
that keeps all of it losslessly. Each frame is a tick; its latency is from being published to the
prediction. Beside each pair stands one without any recorder: what the machine itself varies.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.loader import check
from pipeline.prediction import Prediction
from pipeline.record.plan import RECORDER
from pipeline.record.segment import MB
from pipeline.supervisor import Supervisor

STREAM = "camera/bench"
WARM_UP_S = 2.0
LIMIT_S = 60.0  # of a start
PERCENTILES = (50, 99)
STEP_MS = 50


def bench_record(n_runs: int, seconds: float) -> dict[str, Any]:
    """Measure; latencies in milliseconds. Raises SensoriumError where something was lost."""
    rounds: list[dict[str, list[float]]] = []
    recorded: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in range(n_runs):
            order = ("without", "with", "again") if n % 2 == 0 else ("again", "with", "without")
            found: dict[str, list[float]] = {}
            for name in order:
                file = Path(folder) / f"{n}.mcap" if name == "with" else None
                latencies_ms, counters = _run(_config(Path(folder) / "run", file), seconds)
                found[name] = [float(v) for v in np.percentile(latencies_ms, PERCENTILES)]
                recorded = counters or recorded
                if file:
                    file.unlink()
            rounds.append(found)
    return _result(rounds, recorded)


def _config(folder: Path, file: Path | None) -> Config:
    simulated = {"source": "simulator", "record": "lossless"}
    table = {
        "name": "bench",
        "run_dir": str(folder),
        "camera": {"bench": {**simulated, "rate_hz": 30.0, "resize": [640, 480]}},
        "microphone": {"bench": simulated},
        "text": {"bench": simulated},
        "fusion": {"clock": STREAM},
        "record": {"file": str(file or "")},
    }
    return check(table, "bench")


def _run(config: Config, seconds: float) -> tuple[list[float], dict[str, int]]:
    """The latencies of one run, and what its recorder counted."""
    latencies_ms: list[float] = []
    deadline_s, begin_s = time.monotonic() + LIMIT_S, None
    supervisor = Supervisor(config)
    try:
        supervisor.start()
        while begin_s is None or time.monotonic() < begin_s + seconds:
            for prediction in supervisor.step(STEP_MS):
                begin_s = begin_s or time.monotonic() + WARM_UP_S
                if time.monotonic() > begin_s and STREAM in prediction.stages_ns:
                    latencies_ms.append(_latency_ms(prediction))
            if begin_s is None and time.monotonic() > deadline_s:
                raise SensoriumError("the run did not start")
    finally:
        supervisor.stop()
    if not config.record.file:
        return latencies_ms, {}
    health = supervisor.health.get(RECORDER)
    if health is None or health.last_error or any(".dropped" in name for name in health.counters):
        raise SensoriumError(f"the recorder has lost something: {health}")
    return latencies_ms, health.counters


def _latency_ms(prediction: Prediction) -> float:
    """From being published to the prediction: all stages but the first."""
    return sum(prediction.stages_ns[STREAM][1:]) / 1e6


def _result(
    rounds: Sequence[Mapping[str, Sequence[float]]], recorded: Mapping[str, int]
) -> dict[str, Any]:
    result: dict[str, Any] = {"runs": len(rounds)}
    for i, percentile in enumerate(PERCENTILES):
        for name in ("without", "with"):
            values = [found[name][i] for found in rounds]
            result[f"p{percentile}_{name}_ms"] = round(float(np.median(values)), 3)
        for name, key in (("with", "ratio"), ("again", "a_a_ratio")):
            ratios = [found[name][i] / found["without"][i] for found in rounds]
            spread = (np.median(ratios), min(ratios), max(ratios))
            result[f"p{percentile}_{key}"] = [round(float(value), 3) for value in spread]
    span_s = recorded.get("span_ms", 0) / 1000
    result["recorded_mb_per_s"] = round(recorded.get("bytes", 0) / MB / span_s, 1) if span_s else 0
    return result


def text(result: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [f"{result['runs']} rounds, {result['recorded_mb_per_s']} MB/s recorded; published to"]
    lines[0] += " prediction of each frame, median of the rounds (least to most)"
    for percentile in PERCENTILES:
        without, with_ = (result[f"p{percentile}_{name}_ms"] for name in ("without", "with"))
        lines.append(f"  p{percentile}: {without:.3f} ms without, {with_:.3f} ms with a recorder")
        for key, what in (("ratio", "with / without"), ("a_a_ratio", "without / without")):
            median, least, most = result[f"p{percentile}_{key}"]
            lines.append(f"    {what}: {median:.3f} ({least:.3f} to {most:.3f})")
    return "\n".join(lines)
