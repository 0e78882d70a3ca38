"""Stages: a delay shows up in the stage in which it arose and in no other; sums always hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import numpy.typing as npt
import pytest
from msgspec.structs import replace

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from engines.engine import Engine
from engines.output import Value
from pipeline.aligner import Aligner, Window
from pipeline.answer import Answers
from pipeline.encoding import Token
from pipeline.inputs import window_rules
from pipeline.latency.stages import TickTimes, stages_ns, sum_errors_ns
from pipeline.node import FusionNode
from pipeline.prediction import STAGES, Prediction, named
from pipeline.sample import Sample
from tests.pipeline.home import (
    CAMERA,
    MICROPHONE,
    READINGS,
    TEXT,
    TICK_NS,
    config,
    model,
    recording,
)

DELAY_NS = 20_000_000
START_NS = 10**12
STREAMS = (CAMERA, MICROPHONE, TEXT, READINGS)


@dataclass
class Clock:
    """Time passes only where a test lets it pass."""

    now_ns: int = START_NS

    def __call__(self) -> int:
        return self.now_ns

    def wait(self, delay_ns: int) -> None:
        self.now_ns += delay_ns


@dataclass
class Planted:
    """Where time passes: {stage: nanoseconds}."""

    clock: Clock
    delays_ns: dict[str, int] = field(default_factory=dict)

    def __call__(self, stage: str) -> None:
        self.clock.wait(self.delays_ns.get(stage, 0))


class SlowEngine:
    """A real engine that takes its time."""

    def __init__(self, engine: Engine, wait: Callable[[], None]) -> None:
        self._engine, self._wait = engine, wait
        self.backend, self.inputs, self.outputs = engine.backend, engine.inputs, engine.outputs

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        self._wait()
        return dict(self._engine.run(feeds))

    def close(self) -> None:
        self._engine.close()


class SlowAligner(Aligner):
    """Chooses windows slowly, but for those of samples that have just come."""

    wait: Callable[[], None] | None = None

    def window(self, stream: str, tick_ns: int) -> Window | None:
        if self.wait and stream == CAMERA:
            self.wait()
        return super().window(stream, tick_ns)


class SlowAnswers(Answers):
    """Answers that take their time to be read: they are, as the prediction is made."""

    wait: Callable[[], None]

    def read(self, outputs: Mapping[str, npt.NDArray[Any]], tick_ns: int) -> dict[str, Value]:
        self.wait()
        return super().read(outputs, tick_ns)


def slow_node(planted: Planted) -> FusionNode:
    """A node in whose parts time passes as planted."""
    settings = config()
    slow = CompiledBundle(load_bundle("home"), "onnxruntime")
    slow.fusion = SlowEngine(slow.fusion, lambda: planted("fuse"))
    for name, engine in slow.encoders.items():
        slow.encoders[name] = SlowEngine(engine, lambda: planted("encode"))
    aligner = SlowAligner(window_rules(settings, slow.manifest))
    aligner.wait = lambda: planted("align")
    node = FusionNode(settings, slow, stopwatch=planted.clock, windows=aligner)
    node._answers = answers = SlowAnswers(slow)
    answers.wait = lambda: planted("emit")
    for source in node._inputs.values():
        source.front_end = _slow(source.front_end, lambda: planted("preprocess"))
    return node


def _slow(front_end: Any, wait: Callable[[], None]) -> Any:
    def run(window: Window) -> Any:
        wait()
        return front_end(window)

    return run


def one_prediction(stream: str, stage: str, delay_ns: int) -> Prediction:
    """The way of one stream's samples through a node in which one stage is slow."""
    clock = Clock()
    planted = Planted(clock, {stage: delay_ns})
    node = slow_node(planted)
    for sample in (s for s in recording(seed=3, duration_s=2.0) if s.stream == stream):
        t_ns = START_NS + sample.t_publish_ns
        began_ns = t_ns + sample.t_capture_ns - sample.t_publish_ns
        clock.now_ns = max(clock.now_ns, t_ns)
        planted("publish")
        published_ns = clock.now_ns
        planted("arrive")
        moved = replace(sample, t_capture_ns=began_ns, t_publish_ns=published_ns)
        node.accept(moved, clock.now_ns)
    planted("queue" if stream == CAMERA else "tick_wait")
    return node.tick(clock.now_ns)


SLOW = [(stream, stage) for stream in STREAMS for stage in STAGES]
# A frame is encoded in the tick and then fused at once; other samples are encoded as they come.
SLOW = [(s, stage) for s, stage in SLOW if stage != ("tick_wait" if s == CAMERA else "queue")]


@pytest.mark.parametrize(("stream", "stage"), SLOW)
def test_a_planted_delay_shows_in_its_stage_alone(stream: str, stage: str) -> None:
    plain = named(one_prediction(stream, stage, 0).stages_ns[stream])
    slow = named(one_prediction(stream, stage, DELAY_NS).stages_ns[stream])
    later = {name: slow[name] - plain[name] for name in STAGES}
    assert later.pop(stage) == DELAY_NS
    assert set(later.values()) == {0}


class Worker(Executor):
    """An executor that lets time pass before a call begins, as one that has other work."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._clock.wait(DELAY_NS)
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_what_waits_for_the_worker_waits_in_the_queue() -> None:
    clock = Clock()
    node = FusionNode(config(), model(), stopwatch=clock, executor=Worker(clock))
    event = next(s for s in recording(seed=3, duration_s=4.0) if s.stream == TEXT)
    node.accept(replace(event, t_capture_ns=START_NS, t_publish_ns=START_NS), START_NS)
    stages = named(node.tick(clock.now_ns).stages_ns[TEXT])
    assert stages.pop("queue") == DELAY_NS
    assert set(stages.values()) == {0}


def test_another_streams_encoding_in_the_tick_is_a_wait_for_the_tick() -> None:
    clock = Clock()
    planted = Planted(clock)
    node = slow_node(planted)
    samples = recording(seed=3, duration_s=4.0)
    for stream in (TEXT, CAMERA):
        sample = next(s for s in samples if s.stream == stream)
        node.accept(replace(sample, t_capture_ns=START_NS, t_publish_ns=START_NS), START_NS)
    planted.delays_ns = {"encode": DELAY_NS}
    prediction = node.tick(START_NS)
    assert named(prediction.stages_ns[CAMERA])["encode"] == DELAY_NS
    assert named(prediction.stages_ns[TEXT])["encode"] == 0
    assert named(prediction.stages_ns[TEXT])["tick_wait"] == DELAY_NS
    assert list(sum_errors_ns(prediction)) == [0, 0]


@pytest.mark.parametrize("encoded_ns", [15, 25, 35, 45, 55])
@pytest.mark.parametrize("started_ns", [5, 15, 25, 35, 45])
def test_a_worker_may_encode_while_the_tick_aligns(started_ns: int, encoded_ns: int) -> None:
    """However the encoding lies to the tick, no stage is negative and the sum holds."""
    encoded_ns = max(encoded_ns, started_ns)
    tick = TickTimes(began_ns=20, aligned_ns=30, fuse_ns=60, fused_ns=70, emit_ns=80)
    newest = Sample(stream=TEXT, seq=0, t_capture_ns=1, t_publish_ns=2)
    token = Token(None, started_ns, started_ns, encoded_ns)  # type: ignore[arg-type]
    found = stages_ns(newest, 4, token, tick)
    assert min(found) >= 0
    assert sum(found) == 80 - 1
    assert named(found)["align"] == max(0, 30 - max(20, encoded_ns)) or started_ns >= 30


def endless(samples: list[Sample], period_ns: int) -> Iterator[Sample]:
    """The same samples again and again, later each time."""
    numbers = dict.fromkeys(STREAMS, 0)
    for n, sample in enumerate(cycle(samples)):
        moved_ns = START_NS + n // len(samples) * period_ns
        numbers[sample.stream] += 1
        yield replace(
            sample,
            seq=numbers[sample.stream],
            t_capture_ns=sample.t_capture_ns + moved_ns,
            t_publish_ns=sample.t_publish_ns + moved_ns,
        )


@pytest.mark.slow
def test_the_stages_of_ten_thousand_predictions_sum_to_their_totals() -> None:
    """Measured by the real clock; the total is not made from the stages."""
    samples = [s for s in recording(seed=3, duration_s=4.0) if s.t_publish_ns <= 4e9]
    kept = [s for s in samples if s.stream in (TEXT, READINGS) or s.seq % 12 == 0]
    node, n_streams = FusionNode(config(), model()), 0
    feed = endless(kept, 4_000_000_000)
    newest = next(feed)
    for tick in range(10_000):
        tick_ns = START_NS + (tick + 1) * TICK_NS
        while newest.t_publish_ns <= tick_ns:
            node.accept(newest, newest.t_publish_ns + 1000)
            newest = next(feed)
        prediction = node.tick(tick_ns)
        n_streams += len(prediction.stages_ns)
        assert not any(sum_errors_ns(prediction))
    assert n_streams > 20_000


def test_stages_of_older_logs_have_no_align() -> None:
    assert "align" not in named(range(8))
    assert list(islice(named(range(9)), 7, 9)) == ["fuse", "emit"]
    with pytest.raises(ValueError, match="zip"):
        named((1, 2, 3))
