"""The simulated home in virtual time, as tests feed it to a node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import takewhile

from deploy.simulated_home import demo_config
from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from pipeline.config import Config
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.sample import Sample
from sensors.simulator import Home, chunks, events, frames, readings

CAMERA, MICROPHONE, TEXT, READINGS = (
    "camera/room",
    "microphone/room",
    "text/events",
    "readings/climate",
)
TICK_NS = 100_000_000


@lru_cache(maxsize=1)
def model() -> CompiledBundle:
    return CompiledBundle(load_bundle("home"), "onnxruntime")


def config(*overrides: str) -> Config:
    return demo_config(overrides)


def recording(seed: int, duration_s: float) -> list[Sample]:
    """What the home's four sensors publish from time 0 on, in the order of publication."""
    home, end_ns = Home(seed=seed), int(duration_s * 1e9)
    sources: Sequence[Iterator[Sample]] = (
        frames(home, stream=CAMERA, rate_hz=15.0, start_ns=0, size_px=(320, 240)),
        chunks(home, stream=MICROPHONE, rate_hz=16_000, start_ns=0),
        events(home, stream=TEXT, start_ns=0),
        readings(home, stream=READINGS, rate_hz=2.0, start_ns=0),
    )
    samples = [
        sample
        for source in sources
        for sample in takewhile(lambda sample: sample.t_publish_ns <= end_ns, source)
    ]
    return sorted(samples, key=lambda sample: (sample.t_publish_ns, sample.stream))


def play(node: FusionNode, samples: Sequence[Sample]) -> list[Prediction]:
    """Feed samples in order and tick ten times a second, on the samples' own clock."""
    predictions: list[Prediction] = []
    tick_ns = TICK_NS
    for sample in samples:
        while sample.t_publish_ns > tick_ns:
            predictions.append(node.tick(tick_ns))
            tick_ns += TICK_NS
        node.accept(sample, sample.t_publish_ns)
    return predictions
