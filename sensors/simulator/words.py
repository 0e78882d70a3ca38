"""The home's device events and its thermometer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np

from pipeline.sample import Reading, TextEvent, read_only
from sensors.simulator.scene import Home, Scene
from sensors.simulator.sight import sight

NOISE_DEGC = 0.12
RISE_DEGC_S = (0.06, 0.22)
DRIFT_DEGC_S = 0.03


def events(home: Home, *, stream: str, start_ns: int) -> Iterator[TextEvent]:
    """Endless device events: one within 0.2 s of a scene's start, then every 1.5 to 3 s."""
    seq = 0
    for index in itertools.count(start_ns // home.scene_ns):
        for t_ns, text in _scene_events(home.scene(index), stream, detailed=home.detailed):
            if t_ns >= start_ns:
                yield TextEvent(
                    stream=stream, seq=seq, t_capture_ns=t_ns, t_publish_ns=t_ns, text=text
                )
                seq += 1


def _scene_events(scene: Scene, stream: str, *, detailed: bool) -> Iterator[tuple[int, str]]:
    rng, said = scene.rng("events", stream), sight if detailed else _sentence
    t_ns = scene.start_ns + int(rng.uniform(0.0, 0.2e9))
    while t_ns < scene.end_ns:
        yield t_ns, said(scene, rng)
        t_ns += int(rng.uniform(1.5e9, 3.0e9))


def _sentence(scene: Scene, rng: np.random.Generator) -> str:
    """An opening and a sentence. Words are filled in first, for they may hold a number."""
    wording = scene.ranges.wording
    text = str(rng.choice(wording.openings)) + str(rng.choice(getattr(wording, scene.cue.topic)))
    words = {name: str(rng.choice(getattr(wording, name))) for name in ("place", "who", "state")}
    text = text.format(n="{n}", **words)
    return re.sub(r"\{n\}", lambda _: str(rng.integers(2, 100)), text)


def readings(home: Home, *, stream: str, rate_hz: float, start_ns: int) -> Iterator[Reading]:
    """An endless temperature in degrees Celsius at multiples of the period."""
    first = -int(-start_ns * rate_hz // 1e9)
    for seq, number in enumerate(itertools.count(first)):
        t_ns = round(number * 1e9 / rate_hz)
        value = _temperature(home.scene_at(t_ns), stream, t_ns)
        yield Reading(
            stream=stream,
            seq=seq,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns,
            values=read_only(np.array([value], np.float32)),
            names=("temperature",),
            units=("degC",),
        )


def _temperature(scene: Scene, stream: str, t_ns: int) -> float:
    """A line through the scene, with noise: too weak a cue to settle anything alone."""
    home = np.random.default_rng([scene.seed]).uniform(18.0, 24.0)
    rng = scene.rng("temperature")
    base = home + rng.normal(0.0, 0.15)
    slope = scene.cue.trend * rng.uniform(*RISE_DEGC_S) + rng.uniform(-DRIFT_DEGC_S, DRIFT_DEGC_S)
    noise = scene.rng(f"thermometer {t_ns}", stream).normal(0.0, NOISE_DEGC)
    return float(base + slope * (t_ns - scene.start_ns) / 1e9 + noise)
