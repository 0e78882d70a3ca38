"""The simulated home: repeatable from anywhere, new to the model, settled by no single cue."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.sample import AudioChunk, Frame, Reading, Sample, TextEvent
from sensors.simulator import (
    SITUATIONS,
    TRAIN,
    UNSEEN,
    Home,
    Ranges,
    chunks,
    events,
    frames,
    readings,
    scene_windows,
)
from sensors.simulator.labels import labels_of
from sensors.simulator.scene import CUES
from sensors.simulator.sight import colour_name
from sensors.simulator.sight_wording import TRAIN_SIGHTS, UNSEEN_SIGHTS
from sensors.simulator.wording import TRAIN_WORDING, UNSEEN_WORDING

HOME = Home(seed=3)
SECOND_NS = 1_000_000_000
SOURCES: dict[str, Callable[[str, int], Iterator[Sample]]] = {
    "camera": lambda s, t: frames(HOME, stream=s, rate_hz=15.0, start_ns=t),
    "microphone": lambda s, t: chunks(HOME, stream=s, rate_hz=16_000, start_ns=t),
    "text": lambda s, t: events(HOME, stream=s, start_ns=t),
    "readings": lambda s, t: readings(HOME, stream=s, rate_hz=2.0, start_ns=t),
}


def content(sample: Sample) -> tuple[Any, ...]:
    """A sample without its sequence number, comparable."""
    match sample:
        case Frame():
            return sample.t_capture_ns, sample.pixels.tobytes()
        case AudioChunk():
            return sample.t_capture_ns, sample.pcm.tobytes()
        case TextEvent():
            return sample.t_capture_ns, sample.text
        case Reading():
            return sample.t_capture_ns, sample.values.tobytes()
    raise AssertionError(sample)


def between(kind: str, start_ns: int, end_ns: int, stream: str = "") -> list[Sample]:
    source = SOURCES[kind](stream or f"{kind}/a", start_ns)
    return list(itertools.takewhile(lambda sample: sample.t_capture_ns < end_ns, source))


@pytest.mark.parametrize("kind", SOURCES)
def test_a_process_that_starts_anywhere_agrees_with_the_others(kind: str) -> None:
    whole = [content(s) for s in between(kind, 0, 15 * SECOND_NS)]
    for start_ns in (4_321_987_654, 6 * SECOND_NS, 11_999_999_999):
        later = [content(s) for s in between(kind, start_ns, 15 * SECOND_NS)]
        assert later == [c for c in whole if c[0] >= start_ns]


@pytest.mark.parametrize("kind", SOURCES)
def test_numbers_rise_by_one_and_times_rise(kind: str) -> None:
    samples = between(kind, 5 * SECOND_NS, 14 * SECOND_NS)
    assert [s.seq for s in samples] == list(range(len(samples)))
    assert all(a.t_capture_ns < b.t_capture_ns for a, b in itertools.pairwise(samples))
    assert all(s.t_publish_ns == s.t_end_ns for s in samples)


def test_another_seed_is_another_home() -> None:
    first, other = (
        next(frames(Home(seed=seed), stream="camera/a", rate_hz=15.0, start_ns=0))
        for seed in (1, 2)
    )
    assert not np.array_equal(first.pixels, other.pixels)


@pytest.mark.parametrize("kind", ["camera", "microphone", "text", "readings"])
def test_two_devices_notice_one_scene_in_two_ways(kind: str) -> None:
    one, two = (
        [content(s)[1] for s in between(kind, 0, SECOND_NS, f"{kind}/{name}")] for name in "ab"
    )
    assert one != two


def test_every_situation_comes_equally_often() -> None:
    labels = [HOME.scene(k).label for k in range(10 * len(SITUATIONS))]
    assert {label: labels.count(label) for label in labels} == dict.fromkeys(SITUATIONS, 10)
    assert HOME.scene_at(HOME.scene_ns * 7 + 1) == HOME.scene(7)


def test_any_two_cues_settle_the_situation_and_no_single_one_does() -> None:
    cues = [cue[:3] for cue in CUES.values()]
    for pair in itertools.combinations(range(3), 2):
        assert len({tuple(cue[i] for i in pair) for cue in cues}) == len(cues)
    for i in range(3):
        assert len({cue[i] for cue in cues}) == len(cues) // 2


def test_frames_and_chunks_have_the_promised_form() -> None:
    frame = next(frames(HOME, stream="camera/a", rate_hz=15.0, start_ns=0, size_px=(64, 48)))
    assert frame.pixels.shape == (48, 64, 3)
    assert frame.pixels.dtype == np.uint8
    assert not frame.pixels.flags.writeable
    chunk = next(chunks(HOME, stream="microphone/a", rate_hz=11_025, start_ns=0))
    assert chunk.pcm.shape == (1102, 1)
    assert chunk.pcm.dtype == np.int16
    assert not chunk.pcm.flags.writeable


def test_frames_move() -> None:
    first, second = itertools.islice(SOURCES["camera"]("camera/a", 0), 2)
    assert content(first)[1] != content(second)[1]


def test_the_first_event_of_a_scene_comes_within_a_fifth_of_a_second() -> None:
    for k in range(20):
        start_ns = HOME.scene(k).start_ns
        assert next(SOURCES["text"]("text/a", start_ns)).t_capture_ns - start_ns < 0.2e9


def loudness(kind: str, window_s: float) -> Iterator[npt.NDArray[np.float64]]:
    """The RMS of windows of a scene's sound, for scenes with one kind of sound."""
    for k in range(24):
        scene = HOME.scene(k)
        if scene.cue.sound == kind:
            parts = between("microphone", scene.start_ns, scene.end_ns)
            pcm = np.concatenate([p.pcm[:, 0] for p in parts if isinstance(p, AudioChunk)])
            n = int(window_s * 16_000)
            blocks = pcm[: len(pcm) // n * n].reshape(-1, n).astype(np.float64)
            yield np.sqrt((blocks**2).mean(axis=1))


@pytest.mark.parametrize(("kind", "window_s"), [("crash", 0.9), ("tone", 0.75), ("speech", 0.75)])
def test_every_second_holds_the_evidence(kind: str, window_s: float) -> None:
    """The quietest window with an event in it is louder than the quietest instant."""
    for long, short in zip(loudness(kind, window_s), loudness(kind, 0.02), strict=True):
        assert long.min() > 1.25 * short.min()


def test_training_ranges_and_unseen_ranges_are_disjoint() -> None:
    for field in dataclasses.fields(TRAIN):
        if field.name in ("wording", "sights"):
            continue
        for low, high in getattr(TRAIN, field.name):
            assert low < high
            for other_low, other_high in getattr(UNSEEN, field.name):
                assert high < other_low or other_high < low, field.name


def test_training_wordings_and_unseen_wordings_are_disjoint() -> None:
    for field in dataclasses.fields(TRAIN_WORDING):
        train, unseen = (set(getattr(w, field.name)) for w in (TRAIN_WORDING, UNSEEN_WORDING))
        assert train.isdisjoint(unseen), field.name
    said, unsaid = (
        {event.text for event in itertools.islice(events(home, stream="t", start_ns=0), 2000)}
        for home in (Home(seed=1, ranges=TRAIN), Home(seed=1, ranges=UNSEEN))
    )
    assert said.isdisjoint(unsaid)


def test_a_window_holds_what_was_published_by_its_tick() -> None:
    streams = ("camera/a", "camera/b", "microphone/a", "text/a", "readings/a")
    windows = list(scene_windows(HOME, scenes=8, streams=streams))
    assert sorted(window.labels["truth"][0] for window in windows) == sorted(
        HOME.scene(k).label for k in range(1, 9)
    )
    for number, window in enumerate(windows, start=1):
        assert HOME.scene_at(window.tick_ns).index == number
        assert window.tick_ns - HOME.scene(number).start_ns >= 1.2 * SECOND_NS
        assert tuple(window.samples) == streams
        for samples in window.samples.values():
            assert all(a.t_capture_ns < b.t_capture_ns for a, b in itertools.pairwise(samples))
            assert samples[-1].t_publish_ns <= window.tick_ns
        assert len(window.samples["microphone/a"]) >= 11
        assert len(window.samples["readings/a"]) == 8


def crude_features(home: Home, scenes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Mean colour, RMS, text length and temperature change of each window, and its label."""
    rows, labels = [], []
    for window in scene_windows(home, scenes=scenes):
        frame, *_ = window.samples["camera/door"]
        sound = [s.pcm for s in window.samples["microphone/room"] if isinstance(s, AudioChunk)]
        event = window.samples["text/events"][-1]
        degrees = [
            s.values[0] for s in window.samples["readings/climate"] if isinstance(s, Reading)
        ]
        assert isinstance(frame, Frame)
        assert isinstance(event, TextEvent)
        rms = np.sqrt((np.concatenate(sound).astype(np.float64) ** 2).mean())
        change = degrees[-1] - degrees[0]
        rows.append([*frame.pixels.mean(axis=(0, 1)), np.log(rms), len(event.text), change, 1.0])
        labels.append(SITUATIONS.index(window.labels["truth"][0]))
    return np.array(rows, np.float64), np.array(labels)


def test_a_linear_model_on_crude_features_is_far_from_enough() -> None:
    features, labels = crude_features(Home(seed=5, ranges=TRAIN), 240)
    weights, *_ = np.linalg.lstsq(features, np.eye(len(SITUATIONS))[labels], rcond=None)
    features, labels = crude_features(Home(seed=6, ranges=UNSEEN), 160)
    assert ((features @ weights).argmax(axis=1) == labels).mean() < 0.6


def test_what_is_known_of_a_scene_fits_its_situation() -> None:
    found = [labels_of(HOME.scene(k)) for k in range(160)]
    assert len({labels["household"] for labels in found}) == 10
    assert len({labels["truth"] for labels in found}) == len(SITUATIONS)
    for labels in found:
        assert labels["people"] == (str(["nobody", "one", "two"].index(labels["who"][0])),)
        assert (labels["alert"] == ("yes",)) == (labels["action"] == ("call_help",))
        assert labels["signs"] and labels["caption"]


@pytest.mark.parametrize("ranges", [TRAIN, UNSEEN])
def test_a_detailed_home_tells_what_its_cameras_see(ranges: Ranges) -> None:
    home = Home(seed=4, ranges=ranges, detailed=True)
    told = scene_windows(home, scenes=24, streams=["camera/a", "text/a"])
    plain = scene_windows(Home(seed=4, ranges=ranges), scenes=24, streams=["camera/a"])
    for window, other in zip(told, plain, strict=True):
        assert window.labels == other.labels
        frame, event = window.samples["camera/a"][-1], window.samples["text/a"][-1]
        assert content(frame) == content(other.samples["camera/a"][-1])
        assert isinstance(event, TextEvent)
        assert len(event.text) <= 112
        assert all(event.text.count(f" {thing}") == 1 for thing in ("wall", "sofa", "light"))
        expected = {
            "nobody": ("nobody", "no person", "empty", "only smoke"),
            "two": ("two", "pair"),
        }
        words = expected.get(window.labels["who"][0], ("person", "someone"))
        assert any(word in event.text for word in words), event.text


def test_sights_of_training_and_evaluation_are_other_sentences() -> None:
    for field in dataclasses.fields(TRAIN_SIGHTS):
        train, unseen = (set(getattr(s, field.name)) for s in (TRAIN_SIGHTS, UNSEEN_SIGHTS))
        assert train.isdisjoint(unseen), field.name


def test_colours_have_names() -> None:
    assert colour_name((0.0, 200.0, 0.0)) == "pale green"
    assert colour_name((100.0, 0.0, 0.0)) == "dark blue"
    assert colour_name((200.0, 200.0, 200.0)) == "pale grey"
