"""Windows for training cut from logs, by the very code that cuts those of a live node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from pipeline.aligner import Aligner, WindowRule
from pipeline.config import Config
from pipeline.replay.part import Part
from pipeline.replay.recorded_windows import RecordedWindows
from pipeline.replay.tick import PATIENCE_NS, ComputedTicks, RecordedTicks, Tick, Ticker, play
from pipeline.replay.virtual import WindowMode, find_predictions, lead_ns
from pipeline.sample import Label, LabelledSamples, Sample

Rules: TypeAlias = Mapping[str, WindowRule]


class TruthTable:
    """What was going on when, as the label samples of a log say it."""

    def __init__(self, labels: Iterable[Sample]) -> None:
        self._labels = [sample for sample in labels if isinstance(sample, Label)]

    def at(self, t_ns: int) -> str | None:
        """The label of a moment; of several the one that begins last. None outside of all."""
        found = [x for x in self._labels if x.t_capture_ns <= t_ns < x.t_until_ns]
        return max(found, key=lambda x: x.t_capture_ns).label if found else None


def labelled_samples(
    part: Part, config: Config, rules: Rules, mode: WindowMode, labels: str = "label/truth"
) -> Iterator[LabelledSamples]:
    """The windows of every labelled tick of a log: those that `pipeline.dataset` makes inputs of.

    `recorded` are the windows that the live node had, at its ticks. `aligned` are those that the
    samples' times give, at its ticks or, where the log holds no predictions, at those that the
    configuration gives. Raises LogError, ReplayError.
    """
    truth = TruthTable(part.samples([labels], lead_ns=part.start_ns - part.log_start_ns))
    predictions = find_predictions(part, config)
    ticker: Ticker = RecordedTicks(predictions) if predictions else ComputedTicks(config)
    recorded, aligner = RecordedWindows(rules), Aligner(dict(rules))
    windows = recorded if mode == "recorded" else aligner
    lead = max(map(lead_ns, rules.values()), default=0)
    samples = part.samples({*rules, predictions}, lead_ns=lead, tail_ns=PATIENCE_NS)
    early, due = (recorded.add, _nothing) if mode == "recorded" else (_nothing, aligner.add)
    for tick in play(samples, ticker, early=early, due=due):
        _name(recorded, tick)
        label = truth.at(tick.tick_ns)
        if label is not None and part.covers(tick.tick_ns):
            found = {stream: windows.window(stream, tick.tick_ns) for stream in rules}
            cut = {stream: window for stream, window in found.items() if window}
            yield LabelledSamples(label=label, tick_ns=tick.tick_ns, samples=cut)


def _name(recorded: RecordedWindows, tick: Tick) -> None:
    if tick.recorded:
        recorded.name(tick.recorded)


def _nothing(_: Sample) -> None:
    """What the other rule takes in."""
