"""The hidden scene: which situation the simulated home is in at a time, the same in any process."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from sensors.simulator.ranges import UNSEEN, Ranges

Look: TypeAlias = Literal["lying", "haze", "empty", "two"]
Sound: TypeAlias = Literal["crash", "tone", "speech", "background"]
Topic: TypeAlias = Literal["alarm", "entrance", "lounge", "kitchen"]
Trend: TypeAlias = Literal[-1, 0, 1]


class Situation(NamedTuple):
    """What the four kinds of device notice of a situation. Each cue is shared by two or more."""

    look: Look
    sound: Sound
    topic: Topic
    trend: Trend


# Any two of look, sound and topic settle the situation; no single one does.
CUES: dict[str, Situation] = {
    "quiet": Situation("empty", "background", "kitchen", 0),
    "nap": Situation("lying", "background", "lounge", 0),
    "conversation": Situation("two", "speech", "lounge", 0),
    "doorbell": Situation("two", "tone", "entrance", -1),
    "cooking": Situation("haze", "speech", "kitchen", 1),
    "smoke_alarm": Situation("haze", "tone", "alarm", 1),
    "glass_break": Situation("empty", "crash", "alarm", -1),
    "fall": Situation("lying", "crash", "entrance", 0),
}
SITUATIONS: tuple[str, ...] = tuple(CUES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One scene, [start_ns, end_ns); its details are drawn from `rng`."""

    seed: int
    index: int
    label: str
    start_ns: int
    end_ns: int
    ranges: Ranges

    @property
    def cue(self) -> Situation:
        return CUES[self.label]

    def rng(self, part: str, stream: str = "") -> np.random.Generator:
        """The generator of one part of the scene; with a stream, of how that device sees it."""
        mix = zlib.crc32(f"{part} {stream}".encode())
        return np.random.default_rng([self.seed, self.index, mix])


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A seeded home in virtual time: scene k covers [k * scene_s, (k + 1) * scene_s).

    In a detailed one a device tells what the cameras see, in place of what was switched on.
    """

    seed: int
    ranges: Ranges = UNSEEN
    detailed: bool = False
    scene_s: float = 6.0

    @property
    def scene_ns(self) -> int:
        return round(self.scene_s * 1e9)

    def scene_at(self, t_ns: int) -> Scene:
        return self.scene(t_ns // self.scene_ns)

    def scene(self, index: int) -> Scene:
        """Scene number `index`. Each run of eight holds every situation once, in random order."""
        run, place = divmod(index, len(SITUATIONS))
        order = np.random.default_rng([self.seed, run]).permutation(len(SITUATIONS))
        return Scene(
            seed=self.seed,
            index=index,
            label=SITUATIONS[order[place]],
            start_ns=index * self.scene_ns,
            end_ns=(index + 1) * self.scene_ns,
            ranges=self.ranges,
        )
