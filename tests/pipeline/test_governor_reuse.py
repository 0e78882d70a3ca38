"""What a node does while the governor saves: tokens used again, their age, and the replay of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest

from pipeline.governor.reuse import Reuse
from pipeline.inputs import window_rules
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.replay.recorded_windows import RecordedWindows
from pipeline.sample import Sample
from tests.pipeline.home import CAMERA, MICROPHONE, TEXT, config, model, play, recording


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return recording(seed=3, duration_s=4.0)


def governed(samples: Sequence[Sample], every: int, *overrides: str) -> list[Prediction]:
    node = FusionNode(config(*overrides), model(), stopwatch=count().__next__)
    node.reuse.every = every
    return play(node, samples)


def n_windows(predictions: Sequence[Prediction], stream: str) -> int:
    return len({p.inputs[stream][-1] for p in predictions if stream in p.inputs})


def test_a_stream_is_encoded_once_in_so_many_ticks(samples: list[Sample]) -> None:
    free, saved = governed(samples, 1), governed(samples, 4)
    assert [p.tick_ns for p in free] == [p.tick_ns for p in saved]
    assert n_windows(free, CAMERA) == len(free)
    for stream in (CAMERA, MICROPHONE):
        n_free, n_saved = n_windows(free, stream), n_windows(saved, stream)
        assert n_free / 4 - 1 <= n_saved <= n_free / 4 + 2
    assert {p.encode_every for p in saved} == {4}


def test_a_rare_event_is_not_held_back(samples: list[Sample]) -> None:
    free, saved = governed(samples, 1), governed(samples, 16)
    used = [[p.inputs[TEXT][-1] for p in run if TEXT in p.inputs] for run in (free, saved)]
    assert used[0][0] == used[1][0]


def test_ages_are_true_and_nothing_is_masked_by_it(samples: list[Sample]) -> None:
    """The camera's limit is 250 ms, its tokens would be up to 1.5 s old."""
    limited = [f"{CAMERA.replace('/', '.')}.max_age_ms=250"]
    free, saved = governed(samples, 1, *limited), governed(samples, 16, *limited)
    assert [p.missing for p in free] == [p.missing for p in saved]
    by_key = {(s.stream, s.seq): s for s in samples}
    ages_ns = []
    for p in saved:
        for stream, used in p.inputs.items():
            assert p.ages_ns[stream] == p.tick_ns - by_key[stream, used[-1][0]].t_end_ns
        ages_ns.append(p.ages_ns.get(CAMERA, 0))
    assert 150e6 < max(ages_ns) <= 250e6
    assert n_windows(saved, CAMERA) < len(saved)


def test_its_stages_sum_to_the_total(samples: list[Sample]) -> None:
    clock = iter(range(10**10, 10**12, 1_000))
    node = FusionNode(config(), model(), stopwatch=clock.__next__)
    node.reuse.every = 4
    for p in play(node, samples):
        for stream, stages in p.stages_ns.items():
            assert sum(stages) == p.t_emit_ns - (p.tick_ns - p.ages_ns[stream])
            assert stages[3] >= 0


def test_a_governed_run_is_replayed_from_the_windows_that_it_names(samples: list[Sample]) -> None:
    """Whatever the level was at each tick, and without a word of it."""
    live = FusionNode(config(), model(), stopwatch=count().__next__)
    recorded: list[Prediction] = []
    waiting = sorted(samples, key=lambda s: s.t_publish_ns)
    for n in range(1, 40):
        while waiting and waiting[0].t_publish_ns <= n * 100_000_000:
            live.accept(sample := waiting.pop(0), sample.t_publish_ns)
        live.reuse.every = (1, 1, 2, 8, 8, 4, 1, 16)[n // 5]
        recorded.append(live.tick(n * 100_000_000))
    assert {p.encode_every for p in recorded} == {1, 2, 4, 8, 16}
    windows = RecordedWindows(window_rules(config(), model().manifest))
    again = FusionNode(config(), model(), stopwatch=count().__next__, windows=windows)
    waiting = sorted(samples, key=lambda s: s.t_publish_ns)
    for p in recorded:
        while waiting and waiting[0].t_publish_ns <= p.tick_ns:
            again.accept(sample := waiting.pop(0), sample.t_publish_ns)
        windows.name(p)
        assert again.tick(p.tick_ns).canonical() == p.canonical()


def test_only_a_governed_prediction_says_so(samples: list[Sample]) -> None:
    free, saved = governed(samples, 1)[-1], governed(samples, 2)[-1]
    assert "encode_every" not in free.report(0)
    assert saved.report(0)["encode_every"] == 2
    assert saved.canonical().keys() == free.canonical().keys()


def test_what_full_rate_would_encode_is_counted() -> None:
    reuse = Reuse({"camera/a": 1_000_000_000})
    for seq in (4, 4, 5, 7):
        reuse.want("camera/a", seq)
    reuse.encoded("camera/a")
    assert (reuse.n_wanted, reuse.n_encoded) == (3, 1)
