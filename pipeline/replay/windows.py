"""Windows for training cut from logs, by the very code that cuts those of a live node."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import TypeAlias

from pipeline.aligner import Aligner, WindowRule
from pipeline.config import Config
from pipeline.label.store import labels_of
from pipeline.replay.part import Part
from pipeline.replay.recorded_windows import RecordedWindows
from pipeline.replay.tick import PATIENCE_NS, ComputedTicks, RecordedTicks, Tick, Ticker, play
from pipeline.replay.virtual import WindowMode, find_predictions, lead_ns
from pipeline.sample import Label, LabelledSamples, Sample

Rules: TypeAlias = Mapping[str, WindowRule]


class TruthTable:
    """What was going on when, as the labels of a log say it: one change after the other."""

    def __init__(self, labels: Iterable[Label]) -> None:
        """Go through the times at which a label begins or ends, the newest label on top."""
        waiting = deque(sorted(labels, key=lambda x: x.t_capture_ns))
        edges_ns = {t_ns for x in waiting for t_ns in (x.t_capture_ns, x.t_until_ns)}
        self._edges_ns, self._labels = sorted(edges_ns), list[str | None]()
        begun: list[tuple[int, int, Label]] = []
        for edge_ns in self._edges_ns:
            while waiting and waiting[0].t_capture_ns <= edge_ns:
                heappush(begun, (-waiting[0].t_capture_ns, -len(waiting), waiting.popleft()))
            while begun and begun[0][-1].t_until_ns <= edge_ns:
                heappop(begun)
            self._labels.append(begun[0][-1].label if begun else None)

    def at(self, t_ns: int) -> str | None:
        """The label of a moment; of several the one that begins last. None outside of all."""
        n = bisect_right(self._edges_ns, t_ns)
        return self._labels[n - 1] if n else None


def labelled_samples(
    part: Part, config: Config, rules: Rules, mode: WindowMode, labels: str = "truth"
) -> Iterator[LabelledSamples]:
    """The windows of every labelled tick of a log: those that `pipeline.dataset` makes inputs of.

    `recorded` are the windows that the live node had, at its ticks. `aligned` are those that the
    samples' times give, at its ticks or, where the log holds no predictions, at those that the
    configuration gives. `labels` names a set, in the log or beside it. Raises LabelError, LogError,
    ReplayError.
    """
    truth = TruthTable(labels_of(part.log_path, labels))
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
