"""When a replay ticks: where the recorded predictions did, else as a live node would.

The order of samples and ticks is a function of the log alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pipeline.config import Config
from pipeline.live import Ticks
from pipeline.prediction import Prediction
from pipeline.sample import Health, Sample

# No prediction is in the log so long after its tick.
PATIENCE_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick, and the prediction that was recorded at it, if any."""

    tick_ns: int
    recorded: Prediction | None = None


class Ticker(Protocol):
    """Tells the ticks that stand before a sample of the log, and those after its last."""

    def before(self, sample: Sample) -> Iterator[Tick]: ...

    def rest(self) -> Iterator[Tick]: ...


class RecordedTicks:
    """The ticks of the predictions of one stream, each where its prediction stands in the log."""

    def __init__(self, stream: str) -> None:
        self._stream = stream

    def before(self, sample: Sample) -> Iterator[Tick]:
        """The tick that the sample is the prediction of."""
        if isinstance(sample, Prediction) and sample.stream == self._stream:
            yield Tick(sample.tick_ns, sample)

    def rest(self) -> Iterator[Tick]:
        """None: what no prediction says, nobody predicted."""
        yield from ()


class ComputedTicks:
    """Ticks on multiples of the period, or on each sample of the clock stream, as live."""

    def __init__(self, config: Config) -> None:
        self._tick_hz, self._clock = config.tick_hz, config.fusion.clock
        silence_ms = config.streams[self._clock].max_age_ms if self._clock else 0.0
        self._silence_ns = int(silence_ms * 1e6)
        self._ticks: Ticks | None = None
        self._clock_ns = self._last_ns = 0
        self._due: deque[int] = deque()

    def before(self, sample: Sample) -> Iterator[Tick]:
        """The ticks before the time of the sample."""
        now_ns = sample.t_publish_ns
        if self._ticks is None and self._tick_hz:
            self._ticks = Ticks(self._tick_hz, now_ns - 1)  # the first sample may be on a tick
            self._clock_ns = now_ns
        yield from self._until(now_ns - 1)
        if sample.stream == self._clock:
            if not self._due:
                self._due.append(now_ns)
            self._clock_ns = now_ns
        self._last_ns = now_ns

    def rest(self) -> Iterator[Tick]:
        """The ticks up to the time of the last sample."""
        yield from self._until(self._last_ns)

    def _until(self, limit_ns: int) -> Iterator[Tick]:
        while self._due and self._due[0] <= limit_ns:
            yield Tick(self._due.popleft())
        while self._ticks is not None and self._ticks.next_ns <= limit_ns:
            tick_ns = self._ticks.next_ns
            self._ticks.due(tick_ns)
            if tick_ns - self._clock_ns >= self._silence_ns:
                yield Tick(tick_ns)


def play(
    samples: Iterable[Sample],
    ticker: Ticker,
    *,
    early: Callable[[Sample], None],
    due: Callable[[Sample], None],
) -> Iterator[Tick]:
    """The ticks of a log, in order. Health is given to `early` and `due`, and moves no tick.

    Before each, `early` was given every sample that stands before it in the log, and `due` every
    sample with t_publish <= tick, and no other of the last PATIENCE_NS.
    """
    later: deque[Sample] = deque()

    def settle(until_ns: int) -> None:
        while later and later[0].t_publish_ns <= until_ns:
            due(later.popleft())

    for sample in samples:
        for tick in () if isinstance(sample, Health) else ticker.before(sample):
            settle(tick.tick_ns)
            yield tick
        if not isinstance(sample, Prediction):
            early(sample)
            later.append(sample)
            settle(sample.t_publish_ns - PATIENCE_NS)
    for tick in ticker.rest():
        settle(tick.tick_ns)
        yield tick
