"""Windows for training cut from logs, by the very code that cuts those of a live node."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.aligner import Aligner, Windows
from pipeline.config import Config
from pipeline.frontend import RefusedError, check_sample
from pipeline.inputs import Taker, window_rules
from pipeline.label.store import KIND, all_labels
from pipeline.replay.part import Part
from pipeline.replay.recorded_windows import RecordedWindows
from pipeline.replay.tick import PATIENCE_NS, ComputedTicks, RecordedTicks, Tick, Ticker, play
from pipeline.replay.virtual import WindowMode, find_predictions, lead_ns
from pipeline.sample import Label, LabelledSamples, Sample
from pipeline.stream import MODALITY, kind_of


class Refused(NamedTuple):
    """How many samples no encoder can use, and why the first of them."""

    n: int
    why: str

    def one_more(self) -> Refused:
        return Refused(self.n + 1, self.why)


class Sets(NamedTuple):
    """The label sets of which one must say something of a tick, and those that stand beside it.

    Without `labels` every tick is taken.
    """

    labels: tuple[str, ...] = ("truth",)
    also: tuple[str, ...] = ()


TRUTH = Sets()


class TruthTable:
    """What was going on when, as a label set says it: one change after the other."""

    def __init__(self, labels: Iterable[Label]) -> None:
        """Go through the times at which a label begins or ends."""
        waiting = deque(sorted(labels, key=lambda x: x.t_capture_ns))
        edges_ns = {t_ns for x in waiting for t_ns in (x.t_capture_ns, x.t_until_ns)}
        self._edges_ns, self._labels = sorted(edges_ns), list[tuple[str, ...]]()
        begun: list[Label] = []
        for edge_ns in self._edges_ns:
            while waiting and waiting[0].t_capture_ns <= edge_ns:
                begun.append(waiting.popleft())
            begun = [label for label in begun if label.t_until_ns > edge_ns]
            self._labels.append(tuple(label.label for label in begun))

    def at(self, t_ns: int) -> tuple[str, ...]:
        """The labels that hold at a moment, in the order in which they began."""
        n = bisect_right(self._edges_ns, t_ns)
        return self._labels[n - 1] if n else ()


class LabelledWindows:
    """The windows of every labelled tick of a log: those that `pipeline.dataset` makes inputs of.

    `recorded` are the windows that the live node had, at its ticks. `aligned` are those that the
    samples' times give, at its ticks or, where the log holds no predictions, at those that the
    configuration gives. Raises ConfigError, LabelError, LogError, ReplayError.
    """

    def __init__(
        self,
        part: Part,
        config: Config,
        taker: Taker,
        mode: WindowMode,
        sets: Sets = TRUTH,
    ) -> None:
        self._part, self._config, self._mode, self._taker = part, config, mode, taker
        self._rules = window_rules(config, taker)
        found = all_labels(part.log_path)
        self._tables = {
            name: TruthTable(found.get(f"{KIND}/{name}", ())) for name in (*sets.labels, *sets.also)
        }
        self._labels = sets.labels
        self._refused: dict[str, Refused] = {}

    @property
    def refused(self) -> dict[str, Refused]:
        """{stream: its samples in the part that no encoder can use}, once all was iterated."""
        return dict(self._refused)

    def __iter__(self) -> Iterator[LabelledSamples]:
        self._refused = {}
        recorded, aligner = RecordedWindows(self._rules), Aligner(dict(self._rules))
        windows: Windows = recorded if self._mode == "recorded" else aligner
        for tick in self._ticks(windows):
            if tick.recorded:
                recorded.name(tick.recorded)
            if not self._part.covers(tick.tick_ns):
                continue
            said = self._said(tick.tick_ns)
            if said or not self._labels:
                found = {stream: windows.window(stream, tick.tick_ns) for stream in self._rules}
                cut = {stream: window for stream, window in found.items() if window}
                yield LabelledSamples(labels=said, tick_ns=tick.tick_ns, samples=cut)

    def _ticks(self, windows: Windows) -> Iterator[Tick]:
        predictions = find_predictions(self._part, self._config)
        lead = max(map(lead_ns, self._rules.values()), default=0)
        samples = self._part.samples({*self._rules, predictions}, lead_ns=lead, tail_ns=PATIENCE_NS)
        ticker: Ticker = RecordedTicks(predictions) if predictions else ComputedTicks(self._config)
        add = self._adder(windows)
        early, due = (add, _nothing) if self._mode == "recorded" else (_nothing, add)
        yield from play(samples, ticker, early=early, due=due)

    def _adder(self, windows: Windows) -> Callable[[Sample], None]:
        """What takes in the samples that a node would take in, too."""
        specs = {s: self._taker.specs[MODALITY[kind_of(s)]] for s in self._rules}

        def add(sample: Sample) -> None:
            try:
                check_sample(sample, specs[sample.stream])
            except RefusedError as error:
                if self._part.covers(sample.t_publish_ns):
                    before = self._refused.get(sample.stream, Refused(0, str(error)))
                    self._refused[sample.stream] = before.one_more()
            else:
                windows.add(sample)

        return add

    def _said(self, tick_ns: int) -> dict[str, tuple[str, ...]]:
        """What every set says of a tick; nothing if it is not labelled."""
        if self._labels and not any(self._tables[name].at(tick_ns) for name in self._labels):
            return {}
        held = {name: table.at(tick_ns) for name, table in self._tables.items()}
        return {name: labels for name, labels in held.items() if labels}


def _nothing(_: Sample) -> None:
    """What the other rule takes in."""
