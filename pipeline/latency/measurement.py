"""What the predictions of one run say about its latency."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config import Config
from pipeline.latency.histogram import Histogram
from pipeline.latency.stages import sum_errors_ns
from pipeline.prediction import STAGES, Prediction, named
from pipeline.skew import skews_ns

MAX_SERIES = 50_000  # latencies that are kept one by one
NS_PER_S = 1_000_000_000


class Measurement:
    """Takes predictions; those of the warm-up, from the first one on, are counted and left out.

    `latency` is from the tick (or the capture of the clock's sample) to emit, `corrected` the same
    with the ticks that a late node left out, `total` from the end of each stream's newest sample.
    """

    def __init__(self, config: Config, warm_up_s: float) -> None:
        self._clock = config.fusion.clock
        self._period_ns = round(NS_PER_S / config.tick_hz) if config.tick_hz else 0
        self._deadline_ns = int((config.fusion.deadline_ms or 0) * 1e6)
        self._warm_up_ns = int(warm_up_s * NS_PER_S)
        self.latency, self.corrected, self.jitter = Histogram(), Histogram(), Histogram()
        self.total = Histogram()
        self.stages = {stage: Histogram() for stage in STAGES}
        self.streams: dict[str, Histogram] = {}
        self.stream_stages: dict[str, dict[str, Histogram]] = {}
        self.skews: dict[str, Histogram] = {}
        self.series: list[tuple[int, int]] = []  # (emit, latency), nanoseconds
        self.n_warm_up = self.n_missed = self.n_unseen = self.n_left_out = 0
        self.sum_error_max_ns = 0
        self.begun_ns = self.first_ns = self.last_ns = 0
        self._before: tuple[Prediction, int] | None = None

    def add(self, prediction: Prediction) -> None:
        """Take in one prediction of a live run."""
        self._count(prediction, prediction.t_emit_ns - self.since_ns(prediction))

    def add_timed(self, prediction: Prediction, took_ns: int) -> None:
        """Take in a prediction that was made out of its time, and how long making it took."""
        self._count(prediction, took_ns)

    @property
    def warmed_up(self) -> bool:
        """Whether what comes now counts."""
        return len(self.latency) > 0

    @property
    def length_s(self) -> float:
        """From the first prediction that counts to the last."""
        return max(0, self.last_ns - self.first_ns) / NS_PER_S

    def since_ns(self, prediction: Prediction) -> int:
        """The capture of the clock's sample where that made the tick, else the tick."""
        tick_ns = prediction.tick_ns
        if self._clock in prediction.stages_ns:
            captured_ns = tick_ns - prediction.ages_ns[self._clock]
            if captured_ns + named(prediction.stages_ns[self._clock])["publish"] == tick_ns:
                return captured_ns
        return tick_ns

    def _count(self, prediction: Prediction, latency_ns: int) -> None:
        self.sum_error_max_ns = max(self.sum_error_max_ns, *sum_errors_ns(prediction), 0)
        emit_ns = prediction.t_emit_ns
        if not self.begun_ns:
            self.begun_ns, self.first_ns = emit_ns, emit_ns + self._warm_up_ns
        if emit_ns < self.first_ns:
            self.n_warm_up += 1
            return
        self.last_ns = emit_ns
        self.n_missed += bool(self._deadline_ns and latency_ns > self._deadline_ns)
        self.latency.add(latency_ns)
        self.corrected.add(latency_ns)
        if len(self.series) < MAX_SERIES:
            self.series.append((emit_ns, latency_ns))
        self._count_stages(prediction)
        self._compare(prediction, latency_ns)

    def _count_stages(self, prediction: Prediction) -> None:
        for pair, skew_ns in skews_ns(prediction).items():
            self.skews.setdefault(pair, Histogram()).add(skew_ns)
        for stream, stages in prediction.stages_ns.items():
            total_ns = sum(stages)
            self.total.add(total_ns)
            self.streams.setdefault(stream, Histogram()).add(total_ns)
            of_stream = self.stream_stages.setdefault(stream, {s: Histogram() for s in STAGES})
            for stage, took_ns in named(stages).items():
                self.stages[stage].add(took_ns)
                of_stream[stage].add(took_ns)

    def _compare(self, prediction: Prediction, latency_ns: int) -> None:
        """With the prediction before: jitter, and the ticks that were left out between them."""
        before, self._before = self._before, (prediction, latency_ns)
        if before is None:
            return
        unseen = prediction.seq - before[0].seq - 1
        self.n_unseen += max(0, unseen)
        if unseen:
            return
        self.jitter.add(abs(latency_ns - before[1]))
        for late_ns in self._left_out_ns(before[0], prediction):
            self.n_left_out += 1
            self.corrected.add(late_ns)

    def _left_out_ns(self, before: Prediction, now: Prediction) -> Iterator[int]:
        """How late each tick was, when the next prediction came, that should have been between.

        Without these a node that stalls would measure one long latency in place of many.
        """
        first_ns, last_ns = self.since_ns(before), self.since_ns(now)
        n_steps = 0
        if not self._clock:
            n_steps = round((last_ns - first_ns) / self._period_ns)
        elif before.encode_every > 1 or now.encode_every > 1:
            return  # the clock's sample that made a tick is not always the one that it used
        elif self._clock in before.inputs and self._clock in now.inputs:
            n_steps = now.inputs[self._clock][-1][0] - before.inputs[self._clock][-1][0]
        for step in range(1, n_steps):
            yield now.t_emit_ns - (first_ns + (last_ns - first_ns) * step // n_steps)
