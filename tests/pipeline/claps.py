"""Flashes with clicks as a camera and a microphone take them, whose delay is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.sample import AudioChunk, Frame, Sample

SECOND_NS = 1_000_000_000
RATE_HZ = 16_000
SIZE_PX = (48, 64)
FLASH_NS = 60_000_000
CAMERA, MICROPHONE = "camera/door", "microphone/room"


def moments_ns(n: int, seed: int = 0) -> list[int]:
    """When something happens: two to four seconds apart, never the same time."""
    steps_s = np.random.default_rng(seed).uniform(2.1, 4.0, n)
    return [round(t_s * SECOND_NS) for t_s in np.cumsum(steps_s)]


def pictures(
    flashes_ns: Sequence[int], end_ns: int, *, late_ns: int = 0, rate_hz: float = 30.0
) -> Iterator[Frame]:
    """A dim, noisy room in which a lamp in a corner flashes; stamped late."""
    random = np.random.default_rng(1)
    room = random.integers(20, 60, (*SIZE_PX, 3)).astype(np.int16)
    for n in range(round(end_ns / SECOND_NS * rate_hz)):
        t_ns = round((n + 0.4) * SECOND_NS / rate_hz)
        seen = room + random.integers(-6, 7, (*SIZE_PX, 1), np.int16)
        if any(at_ns <= t_ns < at_ns + FLASH_NS for at_ns in flashes_ns):
            seen[:10, :10] = 255
        stamp_ns = t_ns + late_ns
        yield Frame(
            stream=CAMERA,
            seq=n,
            t_capture_ns=stamp_ns,
            t_publish_ns=stamp_ns,
            pixels=np.clip(seen, 0, 255).astype(np.uint8),
        )


def wave(clicks_ns: Sequence[int], end_ns: int, hum: float = 400.0) -> np.ndarray:
    """Noise and hum with clicks that ring out, float64 (n,), in steps of 16 bits."""
    random, n = np.random.default_rng(2), end_ns * RATE_HZ // SECOND_NS
    made = random.normal(0, 12, n) + hum * np.sin(np.arange(n) * 2 * np.pi * 50 / RATE_HZ)
    rings = 9000 * np.exp(-np.arange(1600) / 200) * random.choice([-1, 1], 1600)
    for click_ns in clicks_ns:
        at = click_ns * RATE_HZ // SECOND_NS
        made[at : at + 1600] += rings[: max(0, n - at)]
    return made


def sound(clicks_ns: Sequence[int], end_ns: int, hum: float = 400.0) -> Iterator[AudioChunk]:
    """Chunks of 100 ms."""
    made = np.clip(wave(clicks_ns, end_ns, hum), -32768, 32767).astype(np.int16)
    for seq in range(len(made) // 1600):
        t_ns = seq * SECOND_NS // 10
        yield AudioChunk(
            stream=MICROPHONE,
            seq=seq,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns + SECOND_NS // 10,
            pcm=made[seq * 1600 : (seq + 1) * 1600, None],
            rate_hz=RATE_HZ,
        )


def recording(flashes_ns: Sequence[int], clicks_ns: Sequence[int], late_ns: int) -> list[Sample]:
    """Both streams in the order of publication."""
    end_ns = max(*flashes_ns, *clicks_ns) + SECOND_NS
    made = [*pictures(flashes_ns, end_ns, late_ns=late_ns), *sound(clicks_ns, end_ns)]
    return sorted(made, key=lambda sample: sample.t_publish_ns)
