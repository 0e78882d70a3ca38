"""A log into a fusion node, as fast as it computes, in an order that the log alone decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

from engines.compiled import CompiledBundle
from pipeline.aligner import Aligner, Window, WindowRule
from pipeline.config import Config
from pipeline.frontend import RefusedError, check_sample
from pipeline.inputs import window_rules
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.replay.part import Part, ReplayError
from pipeline.replay.recorded_windows import RecordedWindows, same_window
from pipeline.replay.tick import PATIENCE_NS, ComputedTicks, RecordedTicks, Tick, Ticker, play
from pipeline.sample import Sample, Tokens, health_stream, tokens_stream
from pipeline.stream import MODALITY, kind_of

# recorded: what the recorded prediction names. aligned: what was published at or before the tick.
WindowMode: TypeAlias = Literal["recorded", "aligned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A prediction, that which was recorded at its tick, and how alignment would have differed.

    `n_windows` are those that either rule gives, `n_realigned` those in which the rules differ.
    """

    prediction: Prediction
    recorded: Prediction | None
    n_windows: int
    n_realigned: int


class VirtualReplay:
    """One replay of a part of a log. Raises ConfigError, EngineError, ReplayError."""

    def __init__(
        self, config: Config, model: CompiledBundle, part: Part, mode: WindowMode | None = None
    ) -> None:
        """Without a `mode` the windows are recorded ones where the log holds predictions."""
        self._model, self._part, self._streams = model, part, set(part.streams)
        self._predictions = find_predictions(part, config)
        self.mode: WindowMode = mode or ("recorded" if self._predictions else "aligned")
        if self.mode == "recorded" and not self._predictions:
            raise ReplayError("the log holds no predictions: replay it with --windows aligned")
        rules = window_rules(config, model.manifest)
        self._specs = {s: model.manifest.specs[MODALITY[kind_of(s)]] for s in rules}
        self._recorded = RecordedWindows(rules) if self.mode == "recorded" else None
        self._aligner = Aligner(rules)
        self._node = FusionNode(config, model, windows=self._recorded or self._aligner)
        self._ticker: Ticker = (
            RecordedTicks(self._predictions) if self._predictions else ComputedTicks(config)
        )
        self._lead_ns = max((lead_ns(rule) for rule in rules.values()), default=0)
        self.kept = [
            s for s in rules if s not in self._streams and tokens_stream(s) in self._streams
        ]
        if self.kept and self.mode == "aligned":
            raise ReplayError(
                f"{self.kept[0]} was recorded as tokens, which belong to the windows of their"
                " predictions: replay the log with --windows recorded"
            )
        self.refused: Counter[str] = Counter()

    def run(self) -> Iterator[Step]:
        """The predictions, one at a time."""
        wanted = {*self._node.streams, *map(tokens_stream, self.kept), self._predictions}
        if not self._recorded:  # else what was masked is known from the predictions
            wanted |= set(map(health_stream, self._node.streams))
        samples = self._part.samples(wanted, lead_ns=self._lead_ns, tail_ns=PATIENCE_NS)
        early, due = (self._accept, self._align) if self._recorded else (_nothing, self._accept)
        for tick in play(samples, self._ticker, early=early, due=due):
            if tick.tick_ns > self._part.end_ns:
                return
            if self._part.covers(tick.tick_ns):
                yield self._step(tick)

    @property
    def lacking(self) -> dict[str, int]:
        """{stream: windows of recorded predictions that the log does not hold whole}."""
        found = self._recorded.lacking if self._recorded else {}
        return {stream: n for stream, n in found.items() if n and self._part.chose(stream)}

    def _step(self, tick: Tick) -> Step:
        if self._recorded and tick.recorded:
            self._recorded.name(tick.recorded)
            self._node.faults.recall(tick.recorded.faults, tick.tick_ns)
        prediction = self._node.tick(tick.tick_ns)
        counts = self._realigned(tick) if tick.recorded else (0, 0)
        return Step(
            prediction=prediction,
            recorded=tick.recorded,
            n_windows=counts[0],
            n_realigned=counts[1],
        )

    def _accept(self, sample: Sample) -> None:
        if isinstance(sample, Tokens):
            self._keep(sample)
            return
        try:
            self._node.accept(sample, sample.t_publish_ns)
        except RefusedError:
            self.refused[sample.stream] += 1

    def _keep(self, tokens: Tokens) -> None:
        """Take in tokens in place of the samples that they were made of."""
        if tokens.of not in self.kept or self._recorded is None:
            return
        manifest = self._model.manifest
        shape = (self._specs[tokens.of].tokens, manifest.width)
        if tokens.values.shape != shape:
            raise ReplayError(
                f"{tokens.of}: the log has tokens of shape {tokens.values.shape}, bundle"
                f" {manifest.name} makes {shape}: replay with the bundle that was recorded with"
            )
        self._recorded.add(tokens)

    def _align(self, sample: Sample) -> None:
        if isinstance(sample, Tokens):
            return
        with suppress(RefusedError):  # counted where the node refused it
            check_sample(sample, self._specs[sample.stream])
            self._aligner.add(sample)

    def _realigned(self, tick: Tick) -> tuple[int, int]:
        assert tick.recorded is not None
        n_windows = n_realigned = 0
        masked = self._node.faults.masked(tick.tick_ns)
        for stream in self._node.streams:
            if stream in self.kept or stream in masked or not self._part.chose(stream):
                continue  # tokens are never re-aligned
            window = self._aligner.window(stream, tick.tick_ns)
            live = tick.recorded.inputs.get(stream, [])
            if window or live:
                n_windows += 1
                n_realigned += not same_window(live, names(window or ()))
        return n_windows, n_realigned


def _nothing(_: Sample) -> None:
    """What is aligned is taken in at its tick."""


def names(window: Window | Sequence[Sample]) -> list[tuple[int, int]]:
    """A window as a prediction names it."""
    return [(sample.seq, sample.t_capture_ns) for sample in window]


def find_predictions(part: Part, config: Config) -> str:
    """The stream of the predictions that were recorded; "" if there is none."""
    found = [stream for stream in part.streams if stream.startswith("prediction/")]
    own = f"prediction/{config.name}"
    if own in found or not found:
        return own if found else ""
    if len(found) > 1:
        raise ReplayError(
            f"the log holds {', '.join(found)}: choose one, as --set name={found[0][11:]}"
        )
    return found[0]


def lead_ns(rule: WindowRule) -> int:
    """How long before a tick the first sample of its window may have been published."""
    return rule.max_age_ns + 2 * rule.duration_ns
