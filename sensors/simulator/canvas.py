"""Drawing in room coordinates, as one camera sees them."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np

from pipeline.sample import UInt8Array
from sensors.simulator.ranges import Ranges, draw
from sensors.simulator.scene import Scene

Colour: TypeAlias = tuple[float, float, float]


class Canvas:
    """Draws in room coordinates: x and y from 0 to 1, lengths as fractions of the height."""

    def __init__(self, size_px: tuple[int, int], ranges: Ranges, view: np.random.Generator) -> None:
        self.width_px, self.height_px = size_px
        self._zoom = draw(view, ranges.zoom)
        self._pan = view.uniform(-0.05, 0.05, 2)
        self._mirror = bool(view.integers(2))

    def point(self, x: float, y: float) -> tuple[int, int]:
        x = 1.0 - x if self._mirror else x
        x, y = (0.5 + (v - 0.5) * self._zoom + p for v, p in zip((x, y), self._pan, strict=True))
        return round(x * self.width_px), round(y * self.height_px)

    def length(self, fraction: float) -> int:
        return max(1, round(fraction * self._zoom * self.height_px))

    def box(
        self, image: UInt8Array, x: float, y: float, size: tuple[float, float], c: Colour
    ) -> None:
        """A filled box with its lower left corner at (x, y); `size` in room coordinates."""
        cv2.rectangle(image, self.point(x, y), self.point(x + size[0], y - size[1]), c, -1)

    def limb(
        self,
        image: UInt8Array,
        a: tuple[float, float],
        b: tuple[float, float],
        thick: float,
        c: Colour,
    ) -> None:
        cv2.line(image, self.point(*a), self.point(*b), c, self.length(thick), cv2.LINE_AA)

    def disc(self, image: UInt8Array, x: float, y: float, radius: float, c: Colour) -> None:
        cv2.circle(image, self.point(x, y), self.length(radius), c, -1, cv2.LINE_AA)


def palette(scene: Scene, rng: np.random.Generator) -> Colour:
    """A BGR colour of the scene's palette."""
    value = rng.uniform(60.0, 235.0)
    hsv = (draw(rng, scene.ranges.hue), draw(rng, scene.ranges.saturation), value)
    pixel = cv2.cvtColor(np.array([[hsv]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return float(pixel[0]), float(pixel[1]), float(pixel[2])
