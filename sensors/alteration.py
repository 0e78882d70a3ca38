"""What a faulty device and a faulty wire do to samples. Only sensors.faulty uses it."""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from contextlib import closing

import numpy as np
from msgspec.structs import replace

from pipeline.bus import wire
from pipeline.chaos.schedule import AT_SOURCE, ON_WIRE, Schedule, Span
from pipeline.error import SensorLostError
from pipeline.sample import OWN, AudioChunk, Frame, Sample, Source

LOOK_S = 0.1  # so long a device that waits for its next sample may not notice that it is unplugged


def altered(source: Source, schedule: Schedule, rng: np.random.Generator) -> Source:
    """The source with the faults of a schedule; outside of them its samples pass unchanged."""

    def samples() -> Generator[Sample | None, None, None]:
        held: Sample | None = None
        _look(schedule)
        with closing(source()) as made:
            for sample in made:
                if sample is None:
                    _look(schedule)
                    yield None
                    continue
                yield from _until_due(sample, schedule)
                span = schedule.at(max(sample.t_publish_ns, time.monotonic_ns()), AT_SOURCE)
                if span is None or span.kind == "unplug":  # the next look says so
                    held = None
                    yield sample
                    continue
                held = held or _kept(sample)
                yield changed(sample, span, held, rng)

    return samples


def _look(schedule: Schedule) -> None:
    if schedule.at(time.monotonic_ns(), ("unplug",)):
        raise SensorLostError("unplugged by the chaos plan")


def _until_due(sample: Sample, schedule: Schedule) -> Generator[None, None, None]:
    """Wait until shortly before a sample is due; the publishing loop waits for the rest."""
    while (left_s := (sample.t_publish_ns - time.monotonic_ns()) / 1e9) > LOOK_S:
        time.sleep(min(LOOK_S, left_s - LOOK_S / 2))
        _look(schedule)
        yield None
    _look(schedule)


def _kept(sample: Sample) -> Sample:
    """The sample, in memory of its own: a picture's may be used again."""
    if isinstance(sample, Frame):
        return replace(sample, pixels=sample.pixels.copy(), memory=OWN)
    return sample


def changed(sample: Sample, span: Span, held: Sample, rng: np.random.Generator) -> Sample:
    """The sample as the fault makes it; `held` is the first one of the fault."""
    match span.kind, sample, held:
        case "clock_step", _, _:
            return replace(sample, t_capture_ns=sample.t_capture_ns + span.step_ns)
        case "freeze", Frame(), Frame():
            return replace(sample, pixels=held.pixels, memory=OWN)
        case "freeze", AudioChunk(), AudioChunk():
            return replace(sample, pcm=held.pcm)
        case "black", Frame(), _:
            return replace(sample, pixels=np.zeros_like(sample.pixels), memory=OWN)
        case "silence", AudioChunk(), _:
            return replace(sample, pcm=np.zeros_like(sample.pcm))
        case "noise", _, _:
            return _noisy(sample, rng)
    raise TypeError(f"{span.kind} of a {type(sample).__name__}")


def _noisy(sample: Sample, rng: np.random.Generator) -> Sample:
    """A sample with noise as loud as the device can be: a loose wire."""
    if isinstance(sample, Frame):
        noise = rng.integers(-255, 256, sample.pixels.shape, np.int16)
        return replace(
            sample, pixels=np.clip(sample.pixels + noise, 0, 255).astype(np.uint8), memory=OWN
        )
    assert isinstance(sample, AudioChunk)
    noise = rng.integers(-(2**16), 2**16, sample.pcm.shape, np.int32)
    pcm = np.clip(sample.pcm + noise, -(2**15), 2**15 - 1).astype(np.int16)
    return replace(sample, pcm=pcm)


class Disturbance:
    """Turns each message of a stream into those that a faulty wire brings in its place."""

    def __init__(self, stream: str, schedule: Schedule, seed: int) -> None:
        self._topic, self._schedule = wire.topic(stream), schedule
        self._random = random.Random(seed)
        self._held: list[bytes] = []
        self._n = 0

    def __call__(self, message: bytes, now_ns: int) -> list[bytes]:
        """Every second message is disturbed. Other topics, as that of health, pass unchanged."""
        if not message.startswith(self._topic):
            return [message]
        span = self._schedule.at(now_ns, ON_WIRE)
        if span is None:
            self._held, out = [], [*self._held, message]
            return out
        self._n += 1
        return self._disturbed(span.kind, message)

    def _disturbed(self, kind: str, message: bytes) -> list[bytes]:
        if kind == "reorder":
            if not self._held:
                self._held = [message]
                return []
            self._held, out = [], [message, *self._held]
            return out
        if self._n % 2:
            return [message]
        return [message, message] if kind == "duplicate" else [self._corrupted(message)]

    def _corrupted(self, message: bytes) -> bytes:
        """The message with its end cut off, or with chance in place of all behind the topic."""
        at = len(self._topic)
        if self._random.random() < 0.5:
            return message[: self._random.randrange(at, len(message))]
        return self._topic + self._random.randbytes(len(message) - at)
