"""The fusion node: masks, windows, refusals, determinism, stage times."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.bus.ring import RingWriter
from pipeline.error import ConfigError
from pipeline.frontend import RefusedError
from pipeline.node import FusionNode, choose_inputs
from pipeline.prediction import STAGES, Prediction
from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent
from tests.pipeline.home import CAMERA, MICROPHONE, READINGS, TEXT, config, model, play, recording

SECOND_NS = 1_000_000_000


def stopwatch() -> Callable[[], int]:
    return count().__next__


def node(*overrides: str) -> FusionNode:
    return FusionNode(config(*overrides), model(), stopwatch=stopwatch())


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return recording(seed=3, duration_s=4.0)


def test_before_any_sample_everything_is_missing_and_the_scores_are_finite() -> None:
    prediction = node().tick(SECOND_NS)
    assert prediction.missing == [CAMERA, MICROPHONE, TEXT, READINGS]
    assert prediction.inputs == {}
    assert prediction.weights == {}
    assert sum(prediction.scores.values()) == pytest.approx(1.0, abs=1e-5)


def test_the_prediction_names_what_it_used_and_how_old_it_was(samples: list[Sample]) -> None:
    prediction = play(node(), samples)[-1]
    assert prediction.missing == []
    assert sum(prediction.weights.values()) == pytest.approx(1.0, abs=1e-4)
    for stream, used in prediction.inputs.items():
        newest = next(s for s in samples if s.stream == stream and s.seq == used[-1][0])
        assert newest.t_publish_ns <= prediction.tick_ns
        assert prediction.ages_ns[stream] == prediction.tick_ns - newest.t_end_ns
    assert len(prediction.inputs[MICROPHONE]) == 10
    assert prediction.inputs[CAMERA][-1][0] == max(
        s.seq for s in samples if s.stream == CAMERA and s.t_publish_ns <= prediction.tick_ns
    )


def test_a_stream_that_falls_silent_is_missing_within_its_age_and_comes_back(
    samples: list[Sample],
) -> None:
    gap = [s for s in samples if s.stream != CAMERA or not 1e9 < s.t_publish_ns < 2e9]
    predictions = {p.tick_ns // 100_000_000: p for p in play(node(), gap)}
    assert CAMERA not in predictions[13].missing
    assert all(CAMERA in predictions[tick].missing for tick in range(15, 20))
    assert CAMERA not in predictions[21].missing


def test_the_same_samples_give_identical_predictions(samples: list[Sample]) -> None:
    first = [p.canonical() for p in play(node(), samples)]
    assert first == [p.canonical() for p in play(node(), samples)]


def test_the_worker_changes_nothing(samples: list[Sample]) -> None:
    with ThreadPoolExecutor(1) as worker:
        other = FusionNode(config(), model(), executor=worker)
        assert [p.canonical() for p in play(other, samples)] == [
            p.canonical() for p in play(node(), samples)
        ]


def test_what_happens_between_two_streams_does_not_matter(samples: list[Sample]) -> None:
    """Within a tick only the order within each stream counts."""
    by_stream = sorted(samples, key=lambda s: (-(-s.t_publish_ns // 100_000_000), s.stream, s.seq))
    assert [p.canonical() for p in play_grouped(by_stream)] == [
        p.canonical() for p in play(node(), samples)
    ]


def play_grouped(samples: list[Sample]) -> list[Prediction]:
    other, predictions, tick_ns = node(), [], 100_000_000
    for sample in samples:
        while sample.t_publish_ns > tick_ns:
            predictions.append(other.tick(tick_ns))
            tick_ns += 100_000_000
        other.accept(sample, sample.t_publish_ns)
    return predictions


def test_the_stages_follow_one_another_from_capture_to_emit(samples: list[Sample]) -> None:
    clock = iter(range(10**10, 10**12, 1_000))
    timed = FusionNode(config(), model(), stopwatch=clock.__next__)
    prediction = play(timed, samples)[-1]
    for stream, stages in prediction.stages_ns.items():
        assert len(stages) == len(STAGES)
        captured_ns = prediction.tick_ns - prediction.ages_ns[stream]
        assert sum(stages) == prediction.t_emit_ns - captured_ns


def test_a_frame_is_encoded_once_however_many_ticks_use_it(samples: list[Sample]) -> None:
    readings_taken = count()
    other = FusionNode(config(), model(), stopwatch=readings_taken.__next__)
    frame = next(s for s in samples if isinstance(s, Frame))
    other.accept(frame, frame.t_publish_ns)
    first = other.tick(frame.t_publish_ns + 1)
    again = other.tick(frame.t_publish_ns + 2)
    assert first.outputs.keys() == again.outputs.keys()
    # One tick reads the stopwatch five times; encoding reads it three times more, once.
    assert next(readings_taken) == 5 + 3 + 5


def test_a_publisher_that_starts_anew_is_used_again(samples: list[Sample]) -> None:
    other = node()
    texts = [s for s in samples if isinstance(s, TextEvent)]
    for sample in (texts[0], replace(texts[0], t_publish_ns=texts[0].t_publish_ns + 5, text="x")):
        other.accept(sample, sample.t_publish_ns)
    first, second = (other.tick(texts[0].t_publish_ns + tick) for tick in (4, 5))
    assert first.missing[-2:] == [TEXT, READINGS]
    assert second.inputs[TEXT] == [(0, texts[0].t_capture_ns)]


REFUSED: list[tuple[Sample, str]] = [
    (
        AudioChunk(
            stream=MICROPHONE,
            seq=0,
            t_capture_ns=0,
            t_publish_ns=0,
            pcm=np.zeros((10, 1), np.int16),
            rate_hz=8000,
        ),
        "sound at 8000 Hz: the bundle takes 16000",
    ),
    (
        Reading(
            stream=READINGS,
            seq=0,
            t_capture_ns=0,
            t_publish_ns=0,
            values=np.zeros(1, np.float32),
            names=("humidity",),
            units=("%",),
        ),
        "readings of humidity: the bundle takes temperature",
    ),
    (
        TextEvent(stream=CAMERA, seq=0, t_capture_ns=0, t_publish_ns=0, text="I am a frame"),
        "a TextEvent cannot feed",
    ),
]


@pytest.mark.parametrize(("sample", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_sample_that_the_bundle_cannot_use_is_refused(sample: Sample, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        node().accept(sample, 0)


def test_a_microphone_at_another_rate_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"microphone\.room\.sample_rate_hz: 8000; the bundle"):
        node("microphone.room.sample_rate_hz=8000")


def test_more_streams_than_the_bundle_takes_are_left_out_or_refused_if_asked_for() -> None:
    five = [f"camera.c{n}.source=simulator" for n in range(5)]
    chosen = choose_inputs(config(*five), model().manifest)
    assert chosen["image"] == ["camera/room", "camera/c0", "camera/c1", "camera/c2"]
    asked = 'fusion.inputs.image=["camera/room","camera/c0","camera/c1","camera/c2","camera/c3"]'
    with pytest.raises(ConfigError, match="5 streams; bundle home takes 4"):
        choose_inputs(config(*five, asked), model().manifest)


def test_a_stream_that_is_not_fused_is_ignored(samples: list[Sample]) -> None:
    other = node("fusion.inputs.text=[]")
    for sample in samples:
        other.accept(sample, sample.t_publish_ns)
    assert TEXT not in other.tick(4 * SECOND_NS).inputs


def test_a_flood_between_two_ticks_does_no_harm() -> None:
    """More samples than are kept come after the one that the tick uses, encoded on a worker."""
    with ThreadPoolExecutor(1) as worker:
        flooded = FusionNode(config(), model(), executor=worker)
        base = TextEvent(stream=TEXT, seq=0, t_capture_ns=0, t_publish_ns=0, text="door")
        for seq in range(3000):
            flooded.accept(replace(base, seq=seq, t_publish_ns=seq, t_capture_ns=seq), seq)
        assert flooded.tick(2).missing[-2:] == [TEXT, READINGS]
        assert flooded.tick(3000).inputs[TEXT] == [(2999, 2999)]


def test_a_stream_that_no_tick_uses_is_not_kept() -> None:
    silent = FusionNode(config("text.events.max_age_ms=0.001"), model())
    base = TextEvent(stream=TEXT, seq=0, t_capture_ns=0, t_publish_ns=0, text="door")
    for seq in range(5000):
        silent.accept(replace(base, seq=seq, t_publish_ns=seq * 10**7, t_capture_ns=seq * 10**7), 0)
        assert TEXT in silent.tick(seq * 10**7 + 10**6).missing
    assert len(silent._inputs[TEXT]) < 500


def test_a_frame_that_is_overwritten_in_use_is_not_used(samples: list[Sample]) -> None:
    frame = next(s for s in samples if isinstance(s, Frame))
    other = node()
    other.accept(frame, frame.t_publish_ns)
    slot = RingWriter(4096, n_slots=1).claim(4096)  # never committed
    torn = replace(frame, seq=1, t_publish_ns=frame.t_publish_ns + 1, memory=slot)
    other.accept(torn, torn.t_publish_ns)
    prediction = other.tick(frame.t_publish_ns + 2)
    assert prediction.inputs[CAMERA] == [(0, frame.t_capture_ns)]
    assert other.take_overwritten() == [CAMERA]
    assert other.take_overwritten() == []
