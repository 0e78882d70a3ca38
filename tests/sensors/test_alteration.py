"""What a faulty device and a faulty wire do, and that they do nothing outside of a fault."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.bus import wire
from pipeline.chaos.schedule import AT_SOURCE, ON_WIRE, Schedule, Span, write_schedule
from pipeline.error import SensorLostError, WireError
from pipeline.sample import AudioChunk, Frame, Sample, Source
from sensors.alteration import Disturbance, altered

CAMERA, MICROPHONE = "camera/a", "microphone/a"
HOUR_NS = 3600 * 10**9
keeps_folder = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def frame(value: int = 9, t_ns: int = 5) -> Frame:
    pixels = np.full((4, 6, 3), value, np.uint8)
    return Frame(stream=CAMERA, seq=0, t_capture_ns=t_ns, t_publish_ns=t_ns, pixels=pixels)


def chunk(value: int = 9, t_ns: int = 5) -> AudioChunk:
    pcm = np.full((8, 1), value, np.int16)
    return AudioChunk(
        stream=MICROPHONE, seq=0, t_capture_ns=t_ns, t_publish_ns=t_ns, pcm=pcm, rate_hz=16_000
    )


def source_of(samples: Sequence[Sample | None]) -> Source:
    def source() -> Generator[Sample | None, None, None]:
        yield from samples

    return source


def span(kind: str, stream: str, *, now: bool = True, step_ns: int = 0) -> Span:
    begin_ns = 0 if now else HOUR_NS + time.monotonic_ns()
    return Span(
        kind=kind, stream=stream, begin_ns=begin_ns, end_ns=begin_ns + 10**18, step_ns=step_ns
    )


def through(folder: Path, samples: Sequence[Sample | None], *spans: Span) -> list[Sample | None]:
    stream = next(sample.stream for sample in samples if sample is not None)
    write_schedule(folder, spans)
    made = altered(source_of(samples), Schedule(folder, stream), np.random.default_rng(1))
    return list(made())


@keeps_folder
@given(
    values=st.lists(st.one_of(st.none(), st.integers(0, 255)), min_size=1, max_size=6),
    kind=st.sampled_from(AT_SOURCE + ON_WIRE),
    place=st.sampled_from(["later", "other stream", "no schedule"]),
)
def test_outside_of_a_fault_samples_pass_unchanged(
    tmp_path: Path, values: list[int | None], kind: str, place: str
) -> None:
    samples = [frame(1), *(None if value is None else frame(value) for value in values)]
    spans = [span(kind, "camera/b" if place == "other stream" else CAMERA, now=place != "later")]
    passed = through(tmp_path, samples, *([] if place == "no schedule" else spans))
    assert len(passed) == len(samples)
    assert all(a is b for a, b in zip(passed, samples, strict=True))


def test_a_frozen_device_repeats_itself_with_new_times(tmp_path: Path) -> None:
    pairs: list[tuple[list[Sample], str]] = [
        ([frame(1, 5), frame(2, 6)], "pixels"),
        ([chunk(1, 5), chunk(2, 6)], "pcm"),
    ]
    for samples, name in pairs:
        first, second = through(tmp_path, samples, span("freeze", samples[0].stream))
        assert isinstance(first, Sample)
        assert isinstance(second, Sample)
        assert (first.t_capture_ns, second.t_capture_ns) == (5, 6)
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        np.testing.assert_array_equal(getattr(first, name), getattr(samples[0], name))


def test_a_frozen_picture_is_kept_when_its_memory_is_used_again(tmp_path: Path) -> None:
    pixels = np.ones((4, 6, 3), np.uint8)
    samples = [
        Frame(stream=CAMERA, seq=0, t_capture_ns=t, t_publish_ns=t, pixels=pixels) for t in (5, 6)
    ]
    write_schedule(tmp_path, [span("freeze", CAMERA)])
    made = altered(source_of(samples), Schedule(tmp_path, CAMERA), np.random.default_rng(1))()
    next(made)
    pixels[:] = 7
    second = next(made)
    assert isinstance(second, Frame)
    assert (second.pixels == 1).all()


def test_black_silence_and_noise(tmp_path: Path) -> None:
    (black,) = through(tmp_path, [frame()], span("black", CAMERA))
    (silent,) = through(tmp_path, [chunk()], span("silence", MICROPHONE))
    (noisy,) = through(tmp_path, [chunk()], span("noise", MICROPHONE))
    (grainy,) = through(tmp_path, [frame()], span("noise", CAMERA))
    assert isinstance(black, Frame)
    assert not black.pixels.any()
    assert isinstance(silent, AudioChunk)
    assert not silent.pcm.any()
    assert isinstance(noisy, AudioChunk)
    assert noisy.pcm.std() > 10_000
    assert isinstance(grainy, Frame)
    assert grainy.pixels.std() > 50


def test_a_clock_step_moves_the_time_of_capture_alone(tmp_path: Path) -> None:
    (stepped,) = through(tmp_path, [frame(t_ns=100)], span("clock_step", CAMERA, step_ns=-40))
    assert isinstance(stepped, Frame)
    assert (stepped.t_capture_ns, stepped.t_publish_ns) == (60, 100)


def test_an_unplugged_device_is_lost_even_while_it_has_nothing_to_say(tmp_path: Path) -> None:
    later = frame(t_ns=time.monotonic_ns() + HOUR_NS)
    for samples in ([frame()], [None, frame()], [later]):
        with pytest.raises(SensorLostError, match="unplugged"):
            through(tmp_path, samples, span("unplug", CAMERA))


def messages(n: int) -> list[bytes]:
    return [wire.encode(chunk(i), (1, i, i)) for i in range(n)]


def disturbed(folder: Path, kind: str, sent: Sequence[bytes]) -> list[bytes]:
    write_schedule(folder, [span(kind, MICROPHONE)])
    disturb = Disturbance(MICROPHONE, Schedule(folder, MICROPHONE), seed=3)
    now_ns = time.monotonic_ns()
    return [each for message in sent for each in disturb(message, now_ns)]


def test_a_wire_swaps_and_repeats_messages(tmp_path: Path) -> None:
    a, b, c, d = sent = messages(4)
    assert disturbed(tmp_path, "reorder", sent) == [b, a, d, c]
    assert disturbed(tmp_path, "duplicate", sent) == [a, b, b, c, d, d]


def test_what_a_wire_has_spoilt_is_refused_by_the_decoder(tmp_path: Path) -> None:
    sent = messages(200)
    received = disturbed(tmp_path, "corrupt", sent)
    assert received[::2] == sent[::2]
    for message in received[1::2]:
        assert message.startswith(wire.topic(MICROPHONE))
        with pytest.raises(WireError):
            wire.decode(message)


@keeps_folder
@given(kind=st.sampled_from(AT_SOURCE + ON_WIRE), n=st.integers(1, 9))
def test_outside_of_a_fault_messages_pass_unchanged(tmp_path: Path, kind: str, n: int) -> None:
    write_schedule(tmp_path, [span(kind, MICROPHONE, now=False), span(kind, "microphone/b")])
    disturb = Disturbance(MICROPHONE, Schedule(tmp_path, MICROPHONE), seed=3)
    sent = messages(n)
    assert [disturb(message, time.monotonic_ns()) for message in sent] == [[m] for m in sent]


def test_what_a_wire_holds_back_comes_when_the_fault_is_over(tmp_path: Path) -> None:
    begun_ns = time.monotonic_ns()
    swap = Span(kind="reorder", stream=MICROPHONE, begin_ns=begun_ns, end_ns=begun_ns + 10)
    write_schedule(tmp_path, [swap])
    disturb = Disturbance(MICROPHONE, Schedule(tmp_path, MICROPHONE), seed=3)
    first, second = messages(2)
    assert disturb(first, begun_ns) == []
    assert disturb(second, begun_ns + 20) == [first, second]
    assert disturb(b"health/microphone/a\0...", begun_ns) == [b"health/microphone/a\0..."]
