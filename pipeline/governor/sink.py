"""The governor at work, in the node's process: from predictions to levels, told as events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.event.event import Event, event_stream
from pipeline.governor.governor import Governor, Step, TickLoad
from pipeline.governor.level import GOVERNOR, level_label
from pipeline.governor.reuse import Reuse
from pipeline.outlet import Phase
from pipeline.prediction import Prediction, named

ENCODING = ("preprocess", "encode")


@dataclass(slots=True)
class _Held:
    """A level that is in force, as its event tells it."""

    began_ns: int
    peak: float


class GovernorSink:
    """Watches the latency of each prediction and sets how often streams are encoded.

    Each step down begins an event, of which the step back up is the end: of level 4 within that
    of level 2. Its score is the share of late ticks that led to the step.
    """

    def __init__(
        self,
        deadline_ms: float,
        reuse: Reuse,
        sinks: Sequence[Callable[[Event], None]],
        cpu_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        """`cpu_ns` counts what this process has computed until now."""
        self._reuse, self._sinks, self._cpu_ns = reuse, sinks, cpu_ns
        self._governor = Governor(int(deadline_ms * 1e6))
        self._before: tuple[Prediction, int] | None = None
        self._counted = (0, 0)
        self._held: dict[int, _Held] = {}
        self._n_events = self._n_steps = 0

    def __call__(self, prediction: Prediction, latency_ns: int, n_left_out: int) -> None:
        """Take in a prediction, its latency, and how many ticks before it were left out."""
        before, cpu_ns = self._before, self._cpu_ns()
        counted, now = self._counted, (self._reuse.n_encoded, self._reuse.n_wanted)
        self._before, self._counted = (prediction, cpu_ns), now
        if before is None:
            return
        encode_ns, fuse_ns = _encode_ns(before[0], prediction), _fuse_ns(prediction)
        load = TickLoad(
            at_ns=prediction.t_emit_ns,
            latency_ns=latency_ns,
            n_left_out=n_left_out,
            n_encoded=now[0] - counted[0],
            n_wanted=now[1] - counted[1],
            encode_ns=encode_ns,
            # A GPU that is waited for takes time, and none of the CPU's.
            work_ns=max(cpu_ns - before[1], encode_ns + fuse_ns),
        )
        step = self._governor.observe(load)
        if step is not None:
            self._take(step, prediction)

    def finish(self) -> None:
        """End the events that go on: no prediction comes any more."""
        if self._before is not None:
            for every in sorted(self._held, reverse=True):
                self._tell(every, "end", self._before[0], 0.0)

    def counters(self) -> Mapping[str, int]:
        """The level, and how many steps were taken."""
        return {"governor.encode_every": self._reuse.every, "governor.steps": self._n_steps}

    def _take(self, step: Step, prediction: Prediction) -> None:
        self._reuse.every = step.now
        self._n_steps += 1
        if step.now > step.before:
            self._held[step.now] = _Held(prediction.tick_ns, step.late_share)
            self._tell(step.now, "start", prediction, step.late_share)
        else:
            self._tell(step.before, "end", prediction, step.late_share)
            del self._held[step.before]

    def _tell(self, every: int, phase: Phase, prediction: Prediction, score: float) -> None:
        held = self._held[every]
        event = Event(
            stream=event_stream(GOVERNOR),
            seq=self._n_events,
            t_capture_ns=prediction.tick_ns,
            t_publish_ns=prediction.t_publish_ns,
            name=GOVERNOR,
            phase=phase,
            label=level_label(every),
            score=score,
            peak=held.peak,
            began_ns=held.began_ns,
            until_ns=prediction.tick_ns,
            top=prediction.top,
            missing=prediction.missing,
        )
        self._n_events += 1
        for sink in self._sinks:
            sink(event)


def _encode_ns(before: Prediction, now: Prediction) -> int:
    """What encoding took of the windows that the prediction before did not use."""
    return sum(
        named(stages)[stage]
        for stream, stages in now.stages_ns.items()
        if now.inputs[stream] != before.inputs.get(stream)
        for stage in ENCODING
    )


def _fuse_ns(prediction: Prediction) -> int:
    return max((named(stages)["fuse"] for stages in prediction.stages_ns.values()), default=0)
