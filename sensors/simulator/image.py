"""The home's cameras: a furnished room, the people in it, smoke, light and sensor noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.sample import Float32Array, Frame, UInt8Array, read_only
from sensors.simulator.canvas import Canvas
from sensors.simulator.ranges import draw
from sensors.simulator.room import furnished_room, room_of
from sensors.simulator.scene import Home, Scene

SMOKE_GREY = (120.0, 215.0)
NOISE_LEVELS = (3.0, 11.0)
NOISE_STEPS = 16  # the noise tile is shifted by up to so many pixels, anew in every frame


def frames(
    home: Home, *, stream: str, rate_hz: float, start_ns: int, size_px: tuple[int, int] = (320, 240)
) -> Iterator[Frame]:
    """Endless frames, uint8 BGR (height, width, 3), at multiples of the period."""
    first = -int(-start_ns * rate_hz // 1e9)
    picture = None
    for seq, number in enumerate(itertools.count(first)):
        t_ns = round(number * 1e9 / rate_hz)
        scene = home.scene_at(t_ns)
        if picture is None or picture.scene.index != scene.index:
            picture = Picture(scene, stream, size_px)
        pixels = read_only(picture.render(t_ns))
        yield Frame(stream=stream, seq=seq, t_capture_ns=t_ns, t_publish_ns=t_ns, pixels=pixels)


class Picture:
    """What one camera sees of one scene."""

    def __init__(self, scene: Scene, stream: str, size_px: tuple[int, int]) -> None:
        self.scene = scene
        room, view = room_of(scene), scene.rng("view", stream)
        self._canvas = Canvas(size_px, scene.ranges, view)
        self._people = room.people
        self._light = room.light * view.uniform(0.9, 1.1)
        self._flicker_hz = room.flicker_hz
        self._room = furnished_room(scene, self._canvas, room)
        self._noise = _noise(size_px, view)
        self._smoke = _smoke(scene, size_px, room.rng) if scene.cue.look == "haze" else None
        self._smoke_grey = float(room.rng.uniform(*SMOKE_GREY))

    def render(self, t_ns: int) -> UInt8Array:
        """The picture at a time of the scene: uint8 BGR (height, width, 3)."""
        t_s = (t_ns - self.scene.start_ns) / 1e9
        image = self._room.copy()
        for person in self._people:
            person.draw_on(self._canvas, image, t_s)
        if self._smoke is not None:
            image = self._veil(image, t_s)
        gain = self._light * (1.0 + 0.03 * math.sin(6.28 * self._flicker_hz * t_s))
        step = (t_ns // 1_000_000 * 2_654_435_761) % 2**32  # Knuth's multiplicative hash
        y, x = (step >> 24) % NOISE_STEPS, (step >> 16) % NOISE_STEPS
        grain = self._noise[y : y + image.shape[0], x : x + image.shape[1]]
        return np.asarray(cv2.addWeighted(image, gain, grain, 1.0, -128.0), np.uint8)

    def _veil(self, image: UInt8Array, t_s: float) -> UInt8Array:
        assert self._smoke is not None
        width = image.shape[1]
        drift = round(6.0 * t_s) % width
        share = self._smoke[:, drift : drift + width]
        smoke = np.full_like(image, round(self._smoke_grey))
        return np.asarray(cv2.blendLinear(smoke, image, share, 1.0 - share), np.uint8)


def _noise(size_px: tuple[int, int], view: np.random.Generator) -> UInt8Array:
    """Sensor noise around 128, a little larger than the picture."""
    values = view.normal(128.0, view.uniform(*NOISE_LEVELS), (64, 64, 3))
    tile = np.clip(values, 0, 255).astype(np.uint8)
    height, width = size_px[1] + NOISE_STEPS, size_px[0] + NOISE_STEPS
    tiled = np.tile(tile, (height // 64 + 1, width // 64 + 1, 1))
    return np.ascontiguousarray(tiled[:height, :width])


def _smoke(scene: Scene, size_px: tuple[int, int], rng: np.random.Generator) -> Float32Array:
    """How much smoke covers each pixel, 0 to 1: float32 (height, 2 * width), seamless along x."""
    coarse = rng.uniform(-0.18, 0.18, (5, 7)).astype(np.float32)
    share = cv2.resize(coarse, size_px, interpolation=cv2.INTER_CUBIC)
    share = np.clip(share + draw(rng, scene.ranges.haze), 0.0, 0.95)
    return np.ascontiguousarray(np.concatenate([share, share[:, ::-1]], axis=1), np.float32)
