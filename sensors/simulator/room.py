"""The room of a scene: who is in it, wall, floor, window, furniture and clutter."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from pipeline.sample import UInt8Array
from sensors.simulator.canvas import Canvas, Colour, palette
from sensors.simulator.person import Person, people_of
from sensors.simulator.ranges import draw
from sensors.simulator.scene import Scene


class Room(NamedTuple):
    """What every camera sees alike. `rng` goes on with what is drawn of it later."""

    people: list[Person]
    light: float
    flicker_hz: float
    horizon: float
    wall: Colour
    floor: Colour
    rng: np.random.Generator


class Furniture(NamedTuple):
    """A piece of furniture, in room coordinates."""

    width: float
    height: float
    colour: Colour


def room_of(scene: Scene) -> Room:
    """The room of a scene. The order of the draws is what makes it the same everywhere."""
    rng, ranges = scene.rng("room"), scene.ranges
    people = people_of(scene, rng)
    light, flicker_hz = draw(rng, ranges.light), rng.uniform(0.5, 3.0)
    horizon, wall, floor = draw(rng, ranges.horizon), palette(scene, rng), palette(scene, rng)
    return Room(people, light, flicker_hz, horizon, wall, floor, rng)


def sofa_of(scene: Scene) -> Furniture:
    """The sofa of a scene."""
    rng = scene.rng("sofa")
    width, colour = rng.uniform(0.28, 0.42), palette(scene, rng)
    return Furniture(width, rng.uniform(0.18, 0.24), colour)


def furnished_room(scene: Scene, canvas: Canvas, room: Room) -> UInt8Array:
    """Wall, floor and furniture."""
    ranges, rng, horizon = scene.ranges, room.rng, room.horizon
    image = np.empty((canvas.height_px, canvas.width_px, 3), np.uint8)
    image[:] = room.wall
    canvas.box(image, -0.5, 1.5, (2.0, 1.5 - horizon), room.floor)
    window = (draw(rng, ranges.window_x), horizon - rng.uniform(0.12, 0.2))
    size = (rng.uniform(0.12, 0.28), rng.uniform(0.15, 0.25))
    canvas.box(image, *window, size, palette(scene, rng))
    canvas.box(
        image, window[0] + 0.02, window[1] - 0.02, (size[0] - 0.04, size[1] - 0.04), (235, 225, 210)
    )
    _sofa(scene, canvas, image, (draw(rng, ranges.sofa_x), horizon + rng.uniform(0.06, 0.14)))
    _table(scene, canvas, image, (draw(rng, ranges.table_x), horizon + rng.uniform(0.16, 0.28)))
    for _ in range(int(rng.integers(0, 4))):
        _clutter(scene, canvas, image, rng)
    return np.asarray(cv2.GaussianBlur(image, (3, 3), 0), np.uint8)


def _sofa(scene: Scene, canvas: Canvas, image: UInt8Array, at: tuple[float, float]) -> None:
    width, height, colour = sofa_of(scene)
    shade = (0.8 * colour[0], 0.8 * colour[1], 0.8 * colour[2])
    canvas.box(image, *at, (width, height), shade)
    canvas.box(image, *at, (width, 0.1), colour)
    for x in (at[0] - 0.02, at[0] + width - 0.02):
        canvas.box(image, x, at[1], (0.04, 0.15), shade)


def _table(scene: Scene, canvas: Canvas, image: UInt8Array, at: tuple[float, float]) -> None:
    rng = scene.rng("table")
    width, height, colour = rng.uniform(0.15, 0.3), rng.uniform(0.08, 0.16), palette(scene, rng)
    canvas.box(image, at[0], at[1] - height, (width, 0.03), colour)
    for x in (at[0] + 0.01, at[0] + width - 0.03):
        canvas.box(image, x, at[1], (0.015, height), colour)


def _clutter(scene: Scene, canvas: Canvas, image: UInt8Array, rng: np.random.Generator) -> None:
    """A lamp as tall as a person, a rug as long as one, or a plant."""
    x, colour, other = draw(rng, scene.ranges.clutter_x), palette(scene, rng), palette(scene, rng)
    foot = rng.uniform(0.72, 0.9)
    match int(rng.integers(3)):
        case 0:
            canvas.limb(image, (x, foot), (x, foot - 0.45), 0.02, colour)
            canvas.box(image, x - 0.04, foot - 0.42, (0.08, 0.1), other)
        case 1:
            centre, axes = canvas.point(x + 0.1, foot), (canvas.length(0.28), canvas.length(0.06))
            cv2.ellipse(image, centre, axes, 0.0, 0.0, 360.0, colour, -1, cv2.LINE_AA)
        case _:
            canvas.box(image, x, foot, (0.06, 0.1), colour)
            for lean in rng.uniform(-0.08, 0.08, 5):
                canvas.limb(
                    image, (x + 0.03, foot - 0.1), (x + 0.03 + lean, foot - 0.3), 0.02, other
                )
