"""The newest predictions of a run, and what they say of its latency."""

from __future__ import annotations

from collections import deque

from pipeline.prediction import Prediction
from pipeline.summary import percentiles

KEPT = 600  # a minute at ten a second


class Recent:
    """Takes in predictions; `newest` is the last of them."""

    def __init__(self) -> None:
        self._kept: deque[Prediction] = deque(maxlen=KEPT)

    def add(self, prediction: Prediction) -> None:
        """Take in one prediction."""
        self._kept.append(prediction)

    @property
    def newest(self) -> Prediction | None:
        """The last prediction, if there was one."""
        return self._kept[-1] if self._kept else None

    @property
    def latency_ms(self) -> dict[str, float]:
        """Percentiles of tick to prediction."""
        return percentiles([(p.t_emit_ns - p.tick_ns) / 1e6 for p in self._kept])

    def stream_ms(self, stream: str) -> dict[str, float]:
        """Percentiles of the way of a stream's newest samples, from their capture on."""
        stages = (p.stages_ns.get(stream) for p in self._kept)
        return percentiles([sum(ns) / 1e6 for ns in stages if ns])
