"""A small home in virtual time: frames, sound, device events and a temperature of one hidden scene.

Everything is a function of (seed, time), so any process may start anywhere and agree.
"""

from __future__ import annotations

from sensors.simulator.image import frames
from sensors.simulator.noise import noise
from sensors.simulator.ranges import TRAIN, UNSEEN, Ranges
from sensors.simulator.scene import SITUATIONS, Home, Scene
from sensors.simulator.sound import chunks
from sensors.simulator.window import scene_windows
from sensors.simulator.words import events, readings

__all__ = [
    "SITUATIONS",
    "TRAIN",
    "UNSEEN",
    "Home",
    "Ranges",
    "Scene",
    "chunks",
    "events",
    "frames",
    "noise",
    "readings",
    "scene_windows",
]
