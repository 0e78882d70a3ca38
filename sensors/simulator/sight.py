"""What the cameras see of a scene, in words: who is there, the light, and what has which colour."""

from __future__ import annotations

import cv2
import numpy as np

from sensors.simulator.canvas import Colour
from sensors.simulator.room import room_of, sofa_of
from sensors.simulator.scene import Scene
from sensors.simulator.sight_wording import GREY, HUES

# Limits lie in the middle of spans of which training sees one side and evaluation the other.
LEAST_SATURATION = 62.0
LIGHT_FROM = 140.0  # the brightest of a colour's channels, 0 to 255
DIM_BELOW = 0.845


def sight(scene: Scene, rng: np.random.Generator) -> str:
    """A sentence; the same scene is told in many ways."""
    room, words = room_of(scene), scene.ranges.sights
    look = {"haze": "smoke_one" if room.people else "smoke"}.get(scene.cue.look, scene.cue.look)
    return str(rng.choice(words.sentences)).format(
        who=str(rng.choice(getattr(words, look))),
        light="dim" if room.light < DIM_BELOW else "full",
        wall=colour_name(room.wall),
        floor=colour_name(room.floor),
        sofa=colour_name(sofa_of(scene).colour),
    )


def colour_name(colour: Colour) -> str:
    """ "dark green" of a BGR colour."""
    pixel = np.array([[colour]], np.uint8)
    hue, saturation, value = cv2.cvtColor(pixel, cv2.COLOR_BGR2HSV)[0, 0].tolist()
    name = next(name for limit, name in HUES.items() if hue < limit)
    tone = "pale" if value >= LIGHT_FROM else "dark"
    return f"{tone} {GREY if saturation < LEAST_SATURATION else name}"
