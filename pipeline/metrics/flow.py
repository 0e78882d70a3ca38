"""What Prometheus learns from each prediction: how long it took, and what it could use."""

from __future__ import annotations

from collections import deque

from prometheus_client import CollectorRegistry, Gauge, Histogram

from pipeline.prediction import STAGES, Prediction
from pipeline.skew import skews_ns
from pipeline.stream import MODALITY, kind_of

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
RATIO_OF = 600  # predictions


class Flow:
    """Observes predictions. Children of each label are bound once: it saves half of the time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        total = Histogram(
            "sensorium_e2e_latency_seconds",
            "From the end of the newest sample used to the prediction, by modality.",
            ["modality"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        stages = Histogram(
            "sensorium_stage_latency_seconds",
            "The stages of that way, which follow one another without a gap.",
            ["stage"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        present = Gauge(
            "sensorium_modality_present_ratio",
            f"Share of the last {RATIO_OF} predictions that used the modality.",
            ["modality"],
            registry=registry,
        )
        self._skew = Histogram(
            "sensorium_alignment_skew_seconds",
            "How far apart the newest samples of two streams end that one prediction used.",
            ["pair"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._scores = Gauge(
            "sensorium_situation_score",
            "Score of each label in the newest prediction.",
            ["label"],
            registry=registry,
        )
        self._total = {m: total.labels(m) for m in MODALITY.values()}
        self._stages = [stages.labels(stage) for stage in STAGES]
        self._ratio = present
        self._present: dict[str, deque[bool]] = {}

    def observe(self, prediction: Prediction) -> None:
        """Count one prediction."""
        for stream, stages_ns in prediction.stages_ns.items():
            self._total[MODALITY[kind_of(stream)]].observe(sum(stages_ns) / 1e9)
            for stage, took_ns in zip(self._stages, stages_ns, strict=True):
                stage.observe(took_ns / 1e9)
        for pair, skew_ns in skews_ns(prediction).items():
            self._skew.labels(pair).observe(skew_ns / 1e9)
        used = {MODALITY[kind_of(stream)] for stream in prediction.inputs}
        for modality in used | {MODALITY[kind_of(stream)] for stream in prediction.missing}:
            seen = self._present.setdefault(modality, deque(maxlen=RATIO_OF))
            seen.append(modality in used)
            self._ratio.labels(modality).set(sum(seen) / len(seen))
        for label, score in prediction.scores.items():
            self._scores.labels(label).set(score)
