"""Windows for training and evaluation: what every stream had delivered up to a tick."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from pipeline.sample import LabelledSamples, Sample
from sensors.simulator.image import frames
from sensors.simulator.labels import labels_of
from sensors.simulator.scene import Home, Scene
from sensors.simulator.sound import chunks
from sensors.simulator.words import events, readings

SETTLED_S = 1.2  # from here on a second of sound belongs to the scene
FRAME_HZ = 15.0
SAMPLE_HZ = 16_000
READING_HZ = 2.0
SOUND_NS = 1_100_000_000  # 11 chunks hold 98 log-mel frames
EVENTS_NS = 6_000_000_000
READINGS_NS = 4_000_000_000
DEFAULT_STREAMS = ("camera/door", "microphone/room", "text/events", "readings/climate")


def scene_windows(
    home: Home, *, scenes: int, first: int = 1, streams: Sequence[str] = DEFAULT_STREAMS
) -> Iterator[LabelledSamples]:
    """One window a scene, at a random tick once the sound of the last scene has left it."""
    for index in range(first, first + scenes):
        scene = home.scene(index)
        yield _window(home, scene, streams)


def _window(home: Home, scene: Scene, streams: Sequence[str]) -> LabelledSamples:
    length_ns = scene.end_ns - scene.start_ns
    tick_ns = scene.start_ns + int(scene.rng("tick").uniform(SETTLED_S * 1e9, length_ns))
    samples = {stream: tuple(_until(tick_ns, _source(home, stream, tick_ns))) for stream in streams}
    return LabelledSamples(labels=labels_of(scene), tick_ns=tick_ns, samples=samples)


def _until(tick_ns: int, source: Iterator[Sample]) -> Iterator[Sample]:
    return itertools.takewhile(lambda sample: sample.t_publish_ns <= tick_ns, source)


def _source(home: Home, stream: str, tick_ns: int) -> Iterator[Sample]:
    """The stream from as far before the tick as its window reaches."""
    match stream.partition("/")[0]:
        case "camera":
            start_ns = tick_ns - round(1e9 / FRAME_HZ) + 1
            return frames(home, stream=stream, rate_hz=FRAME_HZ, start_ns=start_ns)
        case "microphone":
            start_ns = max(0, tick_ns - SOUND_NS - 100_000_000)
            return chunks(home, stream=stream, rate_hz=SAMPLE_HZ, start_ns=start_ns)
        case "text":
            return events(home, stream=stream, start_ns=max(0, tick_ns - EVENTS_NS))
        case _:
            start_ns = max(0, tick_ns - READINGS_NS)
            return readings(home, stream=stream, rate_hz=READING_HZ, start_ns=start_ns)
