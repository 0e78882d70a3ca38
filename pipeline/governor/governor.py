"""When to save encodings, so that predictions keep their deadline, and when to stop saving.

Down a level: the 95th percentile of the latency is above the deadline, which is to say that more
than one tick in twenty is late. A tick that was left out is late. That is judged over half a second
and at least ten ticks, and as soon as it is certain. Also down: one tick in a hundred was left out,
and work took more than four fifths of the time.

Up a level: for a second the 95th percentile was below 0.7 of the deadline, and the work of the next
level would leave two fifths of the time free, or that of full rate a fifth: the load has gone. The
next level encodes twice as much, but no more than what full rate would. Where less would be free,
the latency alone cannot tell whether the next level holds: that is tried after a longer calm, which
doubles each time that it did not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.governor.level import LEVELS

SPAN_NS = 500_000_000
MIN_TICKS = 10
LATE_SHARE = 0.05
LEFT_OUT_SHARE = 0.01
MIN_LATE = 2  # one late tick is chance
CALM_DEADLINES = 0.7
CALM_NS = 1_000_000_000
LIGHT_SHARE, FULL_SHARE = 0.6, 0.8  # of the time: work at the next level, and at full rate
SETTLE_NS = 100_000_000  # what waits at a step was made before it
PATIENCE_NS, MAX_PATIENCE_NS = 15_000_000_000, 240_000_000_000
FAILED_NS = 3_000_000_000  # a step up that is taken back so soon was one too many


@dataclass(frozen=True, slots=True, kw_only=True)
class TickLoad:
    """What one prediction tells: `n_left_out` ticks before it have none.

    Since the one before, `n_encoded` windows were encoded, at full rate it had been `n_wanted`;
    `encode_ns` and `work_ns` are what encoding, and all work, took.
    """

    at_ns: int
    latency_ns: int
    n_left_out: int
    n_encoded: int
    n_wanted: int
    encode_ns: int
    work_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From one level to the next; `late_share` of the ticks were late."""

    before: int
    now: int
    late_share: float


@dataclass(slots=True)
class _Span:
    """What is counted until the next judgement."""

    begun_ns: int
    n: int = 0
    n_late: int = 0
    n_near: int = 0
    n_left_out: int = 0
    n_encoded: int = 0
    n_wanted: int = 0
    encode_ns: int = 0
    work_ns: int = 0

    def add(self, load: TickLoad, deadline_ns: int) -> None:
        self.n += 1 + load.n_left_out
        self.n_late += (load.latency_ns > deadline_ns) + load.n_left_out
        self.n_near += (load.latency_ns > CALM_DEADLINES * deadline_ns) + load.n_left_out
        self.n_left_out += load.n_left_out
        self.n_encoded += load.n_encoded
        self.n_wanted += load.n_wanted
        self.encode_ns += load.encode_ns
        self.work_ns += load.work_ns

    def is_crowded(self, length_ns: int) -> bool:
        """Whether ticks are left out because there is too much work."""
        n_fewest = max(MIN_LATE - 1, LEFT_OUT_SHARE * self.n)
        return self.n_left_out > n_fewest and self.work_ns > FULL_SHARE * length_ns

    def is_light(self, length_ns: int) -> bool:
        """Whether the next level will hold, as far as the work tells."""
        times = max(1.0, self.n_wanted / self.n_encoded) if self.n_encoded else 1.0
        rest_ns = self.work_ns - self.encode_ns
        next_ns = rest_ns + self.encode_ns * min(2.0, times)
        full_ns = rest_ns + self.encode_ns * times
        return next_ns <= LIGHT_SHARE * length_ns or full_ns <= FULL_SHARE * length_ns


@dataclass(slots=True)
class Governor:
    """Takes the load of each tick, and says when to take a step. It reads no clock."""

    deadline_ns: int
    _level: int = 0
    _span: _Span | None = None
    _usual_n: int = MIN_TICKS
    _calm_ns: int = 0  # since when it has been calm
    _up_ns: int = 0
    _patience_ns: int = PATIENCE_NS
    _settled_ns: int = field(default=0)

    @property
    def every(self) -> int:
        """The level: each stream is encoded at most once in so many ticks."""
        return LEVELS[self._level]

    def observe(self, load: TickLoad) -> Step | None:
        """Count a tick; the step to take now, if one is to be taken."""
        if load.at_ns < self._settled_ns:
            return None
        if self._span is None:
            self._span = _Span(load.at_ns)
            self._calm_ns = self._calm_ns or load.at_ns
            return None
        span = self._span
        span.add(load, self.deadline_ns)
        if span.n_late >= MIN_LATE and span.n_late > LATE_SHARE * max(span.n, self._usual_n):
            return self._down(span, load.at_ns)
        if span.n < MIN_TICKS or load.at_ns - span.begun_ns < SPAN_NS:
            return None
        return self._judge(span, load.at_ns)

    def _judge(self, span: _Span, now_ns: int) -> Step | None:
        """At the end of a span that was not late."""
        self._usual_n, self._span = span.n, _Span(now_ns)
        if span.is_crowded(now_ns - span.begun_ns):
            return self._down(span, now_ns)
        if span.n_near > LATE_SHARE * span.n:
            self._calm_ns = now_ns
            return None
        length_ns = now_ns - span.begun_ns
        is_light = self._level and span.is_light(length_ns)
        wait_ns = CALM_NS if is_light else self._patience_ns
        if now_ns - self._calm_ns < wait_ns:
            return None
        if not self._level:  # full rate has held as long as was waited for it
            self._patience_ns = PATIENCE_NS
            return None
        self._up_ns = now_ns
        return self._step(-1, span, now_ns)

    def _down(self, span: _Span, now_ns: int) -> Step | None:
        if self._up_ns and now_ns - self._up_ns < FAILED_NS:
            self._patience_ns = min(2 * self._patience_ns, MAX_PATIENCE_NS)
        self._up_ns = 0
        if self._level == len(LEVELS) - 1:
            self._span, self._calm_ns = _Span(now_ns), now_ns
            return None
        return self._step(+1, span, now_ns)

    def _step(self, change: int, span: _Span, now_ns: int) -> Step:
        before = self.every
        self._level += change
        self._span, self._calm_ns, self._settled_ns = None, now_ns, now_ns + SETTLE_NS
        return Step(before=before, now=self.every, late_share=span.n_late / span.n)
