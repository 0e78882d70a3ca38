"""Stuck sensors are named in time, and nothing that works is ever called stuck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sample import AudioChunk, Frame, Int16Array, Sample, TextEvent, UInt8Array
from pipeline.stream import Camera, Microphone, Readings, Stream, Text
from sensors import simulator
from sensors.video import open_file
from sensors.watchdog import Watchdog
from sensors.watchdog.hold import Hold
from tests.parts import made_clip, real_video

SECOND_NS = 1_000_000_000
DEVICE = Camera(source=0)
NETWORK = Camera(source="rtsp://192.168.1.20/stream1")
FILE = Camera(source="clip.mp4")
LIVE = Microphone(source="USB")
IN_TIME_S = 2.6  # of the 3 s in which a fault is to be named; the rest is for health's way


def pictures(made: Iterable[UInt8Array], rate_hz: float = 10.0) -> Iterator[Frame]:
    for n, pixels in enumerate(made):
        t_ns = round(n * SECOND_NS / rate_hz)
        yield Frame(stream="camera/a", seq=n, t_capture_ns=t_ns, t_publish_ns=t_ns, pixels=pixels)


def chunks(made: Iterable[Int16Array]) -> Iterator[AudioChunk]:
    for n, pcm in enumerate(made):
        t_ns = n * SECOND_NS // 10
        yield AudioChunk(
            stream="microphone/a",
            seq=n,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns + SECOND_NS // 10,
            pcm=pcm,
            rate_hz=16_000,
        )


def named(line: Stream, samples: Iterable[Sample]) -> list[tuple[float, list[str]]]:
    """[(when in s, the faults)], as they change."""
    watchdog, changes = Watchdog(line), []
    faults: list[str] = []
    for sample in samples:
        watchdog.look(sample, sample.t_publish_ns)
        if watchdog.faults != faults:
            faults = watchdog.faults
            changes.append((sample.t_publish_ns / 1e9, faults))
    return changes


def scene(n: int, deviation: float = 2.0) -> Iterator[UInt8Array]:
    """A lit scene with the noise of a sensor."""
    rng = np.random.default_rng(1)
    across, down = np.arange(160), np.arange(120)[:, None]
    lit = 120 + 60 * np.sin(across / 9) * np.cos(down / 7)
    for _ in range(n):
        grain = rng.normal(0, deviation, (120, 160, 3))
        yield np.clip(lit[..., None] + grain, 0, 255).astype(np.uint8)


def hum(n: int, level: float = 300.0) -> Iterator[Int16Array]:
    rng = np.random.default_rng(1)
    for _ in range(n):
        yield np.clip(rng.normal(0, level, (1600, 1)), -32768, 32767).astype(np.int16)


BLACK = np.zeros((120, 160, 3), np.uint8)
STILL = next(scene(1))
SNOW = np.random.default_rng(2).integers(0, 256, (30, 120, 160, 3), np.uint8)
FAULTY_PICTURES: dict[str, Iterable[UInt8Array]] = {
    "black": (BLACK + n % 3 for n in range(30)),
    "covered": (BLACK + 90 + n % 3 for n in range(30)),
    "noise": iter(SNOW),
    "frozen": repeat(STILL, 30),
}
FAULTY_SOUND: dict[str, Iterable[Int16Array]] = {
    "silent": repeat(np.zeros((1600, 1), np.int16), 30),
    "clipping": hum(30, 60_000),
    "frozen": repeat(next(hum(1)), 30),
}


@pytest.mark.parametrize("fault", FAULTY_PICTURES)
def test_a_stuck_camera_is_named_in_time_and_forgiven(fault: str) -> None:
    good = 50
    seen = pictures([*scene(good), *FAULTY_PICTURES[fault], *scene(good)])
    (begun_s, faults), (ended_s, after) = named(DEVICE, seen)
    assert (faults, after) == ([fault], [])
    assert good / 10 < begun_s <= good / 10 + IN_TIME_S
    assert (good + 30) / 10 < ended_s <= (good + 30) / 10 + IN_TIME_S


@pytest.mark.parametrize("fault", FAULTY_SOUND)
def test_a_stuck_microphone_is_named_in_time_and_forgiven(fault: str) -> None:
    good = 50
    heard = chunks([*hum(good), *FAULTY_SOUND[fault], *hum(good)])
    (begun_s, faults), (ended_s, after) = named(LIVE, heard)
    assert (faults, after) == ([fault], [])
    assert good / 10 < begun_s <= good / 10 + IN_TIME_S
    assert (good + 30) / 10 < ended_s <= (good + 30) / 10 + 5.0


def test_a_network_camera_may_repeat_a_still_scene_for_ten_seconds_a_file_for_ever() -> None:
    frozen = list(pictures([*scene(10), *repeat(STILL, 100), *scene(10)]))
    assert named(NETWORK, frozen) == []
    assert named(FILE, frozen) == []
    assert [faults for _, faults in named(DEVICE, frozen)] == [["frozen"], []]
    longer = list(pictures([*scene(10), *repeat(STILL, 200)]))
    assert [faults for _, faults in named(NETWORK, longer)] == [["frozen"]]
    line = Camera(source="clip.mp4", frozen_s=3.0)
    assert [faults for _, faults in named(line, frozen)] == [["frozen"], []]


def test_a_tone_of_a_file_may_repeat_itself() -> None:
    tone = (3000 * np.sin(np.arange(1600) * 2 * np.pi * 440 / 16_000)).astype(np.int16)[:, None]
    assert named(Microphone(source="tone.wav"), chunks(repeat(tone, 60))) == []


def test_a_picture_in_which_only_a_corner_moves_is_not_frozen() -> None:
    def clock() -> Iterator[UInt8Array]:
        big = np.tile(STILL, (4, 4, 1))
        for n in range(100):
            big[1, 1] = n  # between the pixels that are looked at
            yield big.copy()

    assert named(DEVICE, pictures(clock())) == []


@pytest.fixture(scope="module")
def real_frames() -> list[UInt8Array]:
    capture = open_file(str(real_video()))
    read = (capture.read() for _ in range(80))
    return [np.asarray(image, np.uint8) for done, image in read if done]


@pytest.mark.parametrize("line", [DEVICE, NETWORK, FILE])
def test_a_still_real_clip_raises_no_alarm(
    real_frames: list[UInt8Array], tmp_path: Path, line: Camera
) -> None:
    """One picture of a real video with the least noise, through a codec that repeats pictures."""
    picture, rng = cv2.resize(real_frames[0], (320, 240)), np.random.default_rng(5)
    grain = (rng.normal(0, 1.0, picture.shape) for _ in range(300))
    noisy = (np.clip(picture + each, 0, 255).astype(np.uint8) for each in grain)
    capture = open_file(str(made_clip(tmp_path / "still.mp4", noisy)))
    decoded = [np.asarray(capture.read()[1], np.uint8) for _ in range(300)]
    assert named(line, pictures(decoded)) == []


@pytest.mark.parametrize("light", [0.02, 0.05, 0.1])
def test_a_dark_noisy_real_clip_raises_no_alarm(
    real_frames: list[UInt8Array], light: float
) -> None:
    rng = np.random.default_rng(6)

    def dark() -> Iterator[UInt8Array]:
        for image in real_frames:
            small = cv2.resize(image, (320, 240)) * light
            yield np.clip(small + rng.normal(2, 5.0, small.shape), 0, 255).astype(np.uint8)

    assert named(DEVICE, pictures(dark())) == []


def test_a_real_clip_raises_no_alarm(real_frames: list[UInt8Array]) -> None:
    assert named(DEVICE, pictures(real_frames)) == []


@pytest.mark.parametrize("seed", range(3))
def test_ten_minutes_of_a_quiet_simulated_home_raise_no_alarm(seed: int) -> None:
    """In virtual time; at 2 Hz and 160 x 120, of which a detector sees as many pixels."""
    home = simulator.Home(seed=seed, scene_s=600.0)
    quiet = next(s for s in map(home.scene, range(8)) if s.label == "quiet")
    begin_ns, rate_hz = quiet.start_ns, 2.0
    seen = simulator.frames(
        home, stream="camera/a", rate_hz=rate_hz, start_ns=begin_ns, size_px=(160, 120)
    )
    line = Camera(source="simulator", rate_hz=rate_hz)
    assert named(line, islice(seen, int(600 * rate_hz))) == []
    heard = simulator.chunks(home, stream="microphone/a", rate_hz=16_000, start_ns=begin_ns)
    assert named(Microphone(source="simulator"), islice(heard, 6000)) == []
    read = simulator.readings(home, stream="readings/a", rate_hz=rate_hz, start_ns=begin_ns)
    assert named(Readings(source="simulator"), islice(read, 1200)) == []


def test_every_situation_of_the_home_raises_no_alarm() -> None:
    for seed in range(4):
        home = simulator.Home(seed=seed)
        seen = simulator.frames(home, stream="camera/a", rate_hz=5, start_ns=0, size_px=(160, 120))
        assert named(Camera(source="simulator", rate_hz=5), islice(seen, 250)) == []
        heard = simulator.chunks(home, stream="microphone/a", rate_hz=16_000, start_ns=0)
        assert named(Microphone(source="simulator"), islice(heard, 500)) == []


def timed(*steps_ns: int, begin_ns: int = 0) -> Iterator[TextEvent]:
    """Events whose capture times follow one another by these steps, published at 10 Hz."""
    t_ns = begin_ns
    for n, step_ns in enumerate(steps_ns):
        t_ns += step_ns
        publish_ns = (n + 1) * SECOND_NS // 10
        yield TextEvent(
            stream="text/a", seq=n, t_capture_ns=t_ns, t_publish_ns=publish_ns, text="x"
        )


TENTH = SECOND_NS // 10
TIMES = {
    "backwards": [*[TENTH] * 50, -TENTH, *[TENTH] * 60],
    "stopped": [*[TENTH] * 50, *[0] * 20, 21 * TENTH, *[TENTH] * 60],
    "in the future": [*[TENTH] * 50, 5 * SECOND_NS, *[TENTH] * 10, -5 * SECOND_NS, *[TENTH] * 60],
    "in the past": [*[TENTH] * 50, -9 * SECOND_NS, *[TENTH] * 10, 9 * SECOND_NS, *[TENTH] * 60],
}


@pytest.mark.parametrize("how", TIMES)
def test_wrong_times_are_named_and_forgiven(how: str) -> None:
    (begun_s, faults), (ended_s, after) = named(Readings(source="a.jsonl"), timed(*TIMES[how]))
    assert (faults, after) == (["stamps"], [])
    assert 5.0 < begun_s < 5.0 + IN_TIME_S
    assert ended_s < 5.0 + 2.1 + IN_TIME_S


def test_events_may_be_old_and_come_at_one_time() -> None:
    old = [*[0] * 60, SECOND_NS]
    assert named(Text(source="stdin"), timed(*old, begin_ns=-60 * SECOND_NS)) == []


@pytest.mark.parametrize(("rate_hz", "faults"), [(30.0, ["slow"]), (10.0, []), (6.0, ["fast"])])
def test_a_rate_far_from_the_configured_one_is_named(rate_hz: float, faults: list[str]) -> None:
    changes = named(Camera(source=0, rate_hz=rate_hz), pictures(scene(80), rate_hz=10.0))
    assert [found for _, found in changes] == [faults] * bool(faults)


def test_a_backlog_after_a_pause_of_the_process_is_no_fault() -> None:
    line = Camera(source=0, rate_hz=10)
    watchdog, now_ns = Watchdog(line), 0
    for frame in pictures(scene(200)):
        now_ns = max(now_ns, frame.t_capture_ns)
        if frame.t_capture_ns == 8 * SECOND_NS:
            now_ns += 8 * SECOND_NS  # what comes now is old, and comes at once
        watchdog.look(frame, now_ns)
        assert watchdog.faults == []


def test_a_fault_ends_with_the_device() -> None:
    watchdog = Watchdog(DEVICE)
    for frame in pictures(repeat(BLACK, 40)):
        watchdog.look(frame, frame.t_publish_ns)
    assert watchdog.faults == ["black", "frozen"]
    watchdog.reset()
    assert watchdog.faults == []


@given(st.lists(st.booleans(), max_size=200), st.integers(0, 20), st.integers(0, 20))
def test_a_fault_begins_and_ends_only_after_its_time(
    signs: list[bool], begin: int, end: int
) -> None:
    hold, on = Hold(begin / 10, end / 10), False
    for n, sign in enumerate(signs):
        was, on = on, hold.update(sign, n * SECOND_NS // 10)
        if on != was:
            lasted = (begin if on else end) + 1
            assert set(signs[max(0, n + 1 - lasted) : n + 1]) == {on}
