"""The people of a scene: nobody, one who lies, one in the smoke, or two who stand."""

from __future__ import annotations

import math

import numpy as np

from pipeline.sample import UInt8Array
from sensors.simulator.canvas import Canvas, Colour, palette
from sensors.simulator.ranges import draw
from sensors.simulator.scene import Scene


def people_of(scene: Scene, rng: np.random.Generator) -> list[Person]:
    look = scene.cue.look
    if look == "lying":
        person = Person(scene, rng, (rng.uniform(0.35, 0.65), rng.uniform(0.72, 0.88)))
        person.lie(rng)
        return [person]
    if look == "two":
        left, right = rng.uniform(0.2, 0.42), rng.uniform(0.55, 0.8)
        return [Person(scene, rng, (x, rng.uniform(0.8, 0.93))) for x in (left, right)]
    if look == "haze" and rng.integers(2):
        return [Person(scene, rng, (rng.uniform(0.25, 0.75), rng.uniform(0.8, 0.93)))]
    return []


class Person:
    """Somebody standing or lying; sways or breathes with time."""

    def __init__(self, scene: Scene, rng: np.random.Generator, at: tuple[float, float]) -> None:
        self._at = at
        self._height = draw(rng, scene.ranges.height)
        self._girth = draw(rng, scene.ranges.girth) * self._height
        self._shirt, self._trousers = palette(scene, rng), palette(scene, rng)
        tone = rng.uniform(0.35, 1.0)
        self._skin: Colour = (150.0 * tone, 180.0 * tone, 225.0 * tone)
        self._turn = float(rng.uniform(-0.12, 0.12))
        self._sway_hz, self._phase = rng.uniform(0.3, 1.2), rng.uniform(0.0, 6.28)
        self._lying = 0.0

    def lie(self, rng: np.random.Generator) -> None:
        """Fall over to one side, around the middle of the body."""
        side = 1 if rng.integers(2) else -1
        self._lying = side * math.pi / 2
        self._at = (self._at[0] - side * 0.37 * self._height, self._at[1])

    def draw_on(self, canvas: Canvas, image: UInt8Array, t_s: float) -> None:
        sway = 0.05 * math.sin(6.28 * self._sway_hz * t_s + self._phase)
        angle = self._turn + self._lying + (0.3 * sway if self._lying else sway)
        shape = canvas.height_px / canvas.width_px  # a length along x is so much longer

        def spot(along: float, across: float = 0.0) -> tuple[float, float]:
            up, side = along * self._height, across * self._girth
            x = self._at[0] + shape * (up * math.sin(angle) + side * math.cos(angle))
            return x, self._at[1] - up * math.cos(angle) + side * math.sin(angle)

        for side in (-0.28, 0.28):
            canvas.limb(
                image, spot(0.0, side), spot(0.45, side), 0.42 * self._girth, self._trousers
            )
        canvas.limb(image, spot(0.48), spot(0.74), 0.85 * self._girth, self._shirt)
        for side in (-0.5, 0.5):
            hand = spot(0.42 + sway, 1.5 * side)
            canvas.limb(image, spot(0.76, side), hand, 0.24 * self._girth, self._shirt)
        canvas.disc(image, *spot(0.93), 0.095 * self._height, self._skin)
