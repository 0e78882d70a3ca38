"""What the fusion node says at each tick, and the two forms in which it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import field

from engines.output import Value
from pipeline.sample import Sample

# The way of a stream's newest sample to the prediction. The stages follow one another without a
# gap, each is the difference of two clock readings, and so they sum to the stream's total.
STAGES = (
    "publish",  # captured -> sent by the sensor process
    "arrive",  # sent -> taken in by the fusion node
    "queue",  # taken in -> its encoding starts (for a `latest` stream: the wait for the tick)
    "preprocess",
    "encode",
    "tick_wait",  # encoded -> fusion starts (for a `queue` stream: the wait for the tick), but for
    "align",  # the tick begins -> the windows of all streams are chosen
    "fuse",
    "emit",  # fused -> what the prediction says is made, and it goes to the sinks
)
WITHOUT_ALIGN = tuple(stage for stage in STAGES if stage != "align")  # of older logs
SITUATION = "situation"  # the main head of most bundles, and of older logs


def named(stages_ns: Sequence[int]) -> dict[str, int]:
    """{stage: duration} of one stream."""
    names = WITHOUT_ALIGN if len(stages_ns) == len(WITHOUT_ALIGN) else STAGES
    return dict(zip(names, stages_ns, strict=True))


class Prediction(Sample, frozen=True, kw_only=True):
    """One prediction. `t_capture_ns` is the tick; `seq` counts the predictions.

    `outputs` {head: what it says}: probabilities by label or numbers by name, an embedding, or a
    text; `main` is the head whose labels events and triggers go by; `inputs`
    {stream: [(seq, t_capture_ns), ...]}, the samples of the window; `ages_ns` {stream: tick minus
    the end of its newest sample};
    `weights` {stream: share of the attention}; `stages_ns` {stream: one duration a stage};
    `faults` {stream: what its sensor says is wrong with its samples}, whether masked or not;
    `encode_every`: while it is above 1 the governor has each stream encoded at most once in so many
    ticks. It is no part of the canonical form: all that it does stands in `inputs`.
    """

    outputs: dict[str, Value]
    inputs: dict[str, list[tuple[int, int]]]
    ages_ns: dict[str, int]
    missing: list[str]
    weights: dict[str, float]
    backend: dict[str, str]
    stages_ns: dict[str, tuple[int, ...]] = field(default_factory=dict)
    t_emit_ns: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)
    encode_every: int = 1
    main: str = SITUATION

    @property
    def tick_ns(self) -> int:
        return self.t_capture_ns

    @property
    def scores(self) -> dict[str, float]:
        """The main head: {label: probability}; nothing where it is an embedding or a text."""
        found = self.outputs.get(self.main)
        return found if isinstance(found, dict) else {}

    @property
    def top(self) -> str:
        """The likeliest label of the main head; "" if there is none."""
        scores = self.scores
        return max(scores, key=scores.__getitem__, default="")

    def canonical(self) -> dict[str, Any]:
        """Everything that the samples decide, and nothing that was measured.

        `faults` is a member only where there are some.
        """
        faults = {"faults": self.faults} if self.faults else {}
        return faults | {
            "tick_ns": self.tick_ns,
            "inputs": self.inputs,
            "missing": self.missing,
            "outputs": self.outputs,
            "weights": self.weights,
            "backend": self.backend["requested"],
        }

    def report(self, wall_minus_monotonic_ns: int) -> dict[str, Any]:
        """The form for people and scripts: wall-clock seconds, milliseconds, short numbers."""
        return {
            "t": round((self.tick_ns + wall_minus_monotonic_ns) / 1e9, 3),
            "tick": self.seq,
            "top": self.top,
            "scores": {label: round(score, 4) for label, score in self.scores.items()},
            "weights": {stream: round(weight, 3) for stream, weight in self.weights.items()},
            "missing": self.missing,
            "faults": self.faults,
            "inputs": {stream: self._newest(stream) for stream in self.inputs},
            "latency_ms": {stream: self._latency(stream) for stream in self.stages_ns},
            "backend": self.backend,
            **self._others(),
            **({"encode_every": self.encode_every} if self.encode_every > 1 else {}),
        }

    def _others(self) -> dict[str, Any]:
        """What the other heads say, if there are some."""
        scores = self.scores
        others = {n: value for n, value in self.outputs.items() if value is not scores}
        return {"outputs": {n: _short(value) for n, value in others.items()}} if others else {}

    def _newest(self, stream: str) -> list[list[float]]:
        """[[seq, age in ms]] of the window's newest sample, as a list to grow."""
        return [[self.inputs[stream][-1][0], round(self.ages_ns[stream] / 1e6, 1)]]

    def _latency(self, stream: str) -> dict[str, float]:
        stages = self.stages_ns[stream]
        total = {"total": round(sum(stages) / 1e6, 3)}
        return total | {stage: round(ns / 1e6, 3) for stage, ns in named(stages).items()}


def _short(value: Value) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [round(x, 4) for x in value]
    return {name: round(x, 4) for name, x in value.items()}
