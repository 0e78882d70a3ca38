"""A sound card whose clock drifts: found in ppm, corrected, through jitter, gaps and restarts.

All in simulated time: blocks of 20 ms as a callback brings them, and pictures by the host's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.aligner import JITTER_NS
from pipeline.calibration.click import Clicks
from pipeline.calibration.flash import Flashes
from pipeline.log.drift import DriftMeter
from pipeline.sample import AudioChunk, Frame, Int16Array, read_only
from sensors.drift import Drift
from sensors.microphone import Hearing
from sensors.portaudio import Block

MS, SECOND_NS = 1_000_000, 1_000_000_000
RATE_HZ, BLOCK = 16_000, 320
FRAME_NS = SECOND_NS // 30
EVENT_NS = 10 * SECOND_NS  # between two flashes with a click
MINUTES_10_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A sound card, and the callbacks of its driver. Its clock is fast by `ppm`."""

    ppm: float
    seed: int = 1
    lost_ns: tuple[int, int] = (0, 0)  # sound that no callback brings
    begun_ns: int = 40 * SECOND_NS

    def blocks(self, seconds: float) -> Iterator[tuple[Block, int]]:
        """(block, when its callback came), as `SoundInput.put` notes them."""
        n, random = round(seconds * RATE_HZ / BLOCK), np.random.default_rng(self.seed)
        # Scheduling: mostly a millisecond, now and then much more.
        late_ns = random.exponential(1.0 * MS, n) + (random.random(n) < 0.01) * 60 * MS
        # The driver's own idea of how old a block is, to a millisecond, and mostly right.
        known_ns = random.normal(0, 1.0 * MS, n) + late_ns * (random.random(n) < 0.8)
        block_ns = BLOCK * 1e9 / (RATE_HZ * (1 + self.ppm / 1e6))
        begun_ns = self.begun_ns + np.arange(n) * block_ns
        # Callbacks keep their order.
        came_ns = np.maximum.accumulate(begun_ns + block_ns + late_ns).astype(int).tolist()
        ages_ns = np.maximum(block_ns + known_ns, BLOCK * 62_500).astype(int).tolist()
        quiet = random.normal(0, 8, (BLOCK, 1)).astype(np.int16)
        for came, age, true in zip(came_ns, ages_ns, begun_ns.tolist(), strict=True):
            if not self.lost_ns[0] <= true < self.lost_ns[1]:
                yield Block(_with_click(quiet, true, block_ns), came - age, False), came


def _with_click(quiet: Int16Array, begun_ns: float, block_ns: float) -> Int16Array:
    """The block, in which a click begins if its time is one of an event."""
    until_ns = -begun_ns % EVENT_NS
    if until_ns >= block_ns:
        return quiet
    pcm: Int16Array = quiet.copy()
    pcm[round(until_ns / block_ns * BLOCK) :][:80] += 12_000
    return read_only(pcm)


def heard(card: Card, seconds: float, counters: dict[str, int]) -> list[AudioChunk]:
    device: Any = SimpleNamespace(rate_hz=RATE_HZ, n_channels=1)
    hearing, chunks = Hearing(device, RATE_HZ, counters), list[AudioChunk]()
    for block, now_ns in card.blocks(seconds):
        for t_capture_ns, t_publish_ns, pcm in hearing.take(block, now_ns):
            chunks.append(
                AudioChunk(
                    stream="microphone/a",
                    seq=len(chunks),
                    t_capture_ns=t_capture_ns,
                    t_publish_ns=t_publish_ns,
                    pcm=pcm,
                    rate_hz=RATE_HZ,
                )
            )
    return chunks


def counters() -> dict[str, int]:
    return {"overflow": 0, "late": 0, "jumps": 0}


def clicks_ns(chunks: list[AudioChunk]) -> list[int]:
    clicks = Clicks()
    return [click_ns for chunk in chunks for click_ns in clicks.take(chunk)]


def flashes_ns(card: Card, seconds: float) -> list[int]:
    flashes, found = Flashes(), []
    lit, dark = (np.full((6, 8, 3), level, np.uint8) for level in (255, 20))
    for n in range(round(seconds * 30)):
        t_ns = card.begun_ns + n * FRAME_NS
        if SECOND_NS < t_ns % EVENT_NS < EVENT_NS - SECOND_NS:
            continue
        frame = Frame(
            stream="camera/a",
            seq=n,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns,
            pixels=lit if t_ns % EVENT_NS < 50 * MS else dark,
        )
        if (flash_ns := flashes.take(frame)) is not None:
            found.append(flash_ns)
    return found


def skews_ms(card: Card, seconds: float, chunks: list[AudioChunk]) -> list[float]:
    """How far apart each flash and its click are stamped."""
    clicks = np.array(clicks_ns(chunks))
    flashes = [flash_ns for flash_ns in flashes_ns(card, seconds) if flash_ns < clicks[-1] + MS]
    assert len(flashes) >= len(clicks) - 1
    return [float(np.abs(clicks - flash_ns).min()) / MS for flash_ns in flashes]


@pytest.mark.parametrize(("ppm", "seconds"), [(200.0, MINUTES_10_S), (-200.0, 150.0), (0.0, 100.0)])
def test_a_planted_drift_is_found_and_corrected(ppm: float, seconds: float) -> None:
    told, card = counters(), Card(ppm=ppm)
    chunks = heard(card, seconds, told)
    assert told["drift_ppm"] == pytest.approx(ppm, abs=10)
    assert told["jumps"] == told["late"] == 0
    in_log = DriftMeter()
    for chunk in chunks:
        in_log(chunk)
    assert in_log.ppm == pytest.approx(ppm, abs=10)  # what `sensorium info` tells of a log
    skews = skews_ms(card, seconds, chunks)
    assert len(skews) >= seconds / 10 - 2
    assert max(skews) < FRAME_NS / MS
    gaps_ns = [after.t_capture_ns - before.t_end_ns for before, after in pairwise(chunks)]
    assert max(map(abs, gaps_ns)) < JITTER_NS / 5
    assert max(map(abs, gaps_ns[100:])) < 3 * MS
    assert all(a.t_capture_ns < b.t_capture_ns for a, b in pairwise(chunks))


def test_without_a_correction_the_skew_would_be_more_than_three_frames() -> None:
    """That the planted drift is one at all: by count alone the last click would be far off."""
    card = Card(ppm=200.0)
    *_, (block, _) = card.blocks(MINUTES_10_S)
    by_count_ns = card.begun_ns + round(MINUTES_10_S * SECOND_NS) - BLOCK * 62_500
    assert abs(block.captured_ns - by_count_ns) > 3 * FRAME_NS


def test_lost_sound_is_a_gap_and_the_drift_is_kept() -> None:
    lost_ns = (105 * SECOND_NS + 123 * MS, 107 * SECOND_NS)
    told, card = counters(), Card(ppm=200.0, lost_ns=lost_ns)
    chunks = heard(card, 150.0, told)
    assert told["jumps"] == 1
    assert told["drift_ppm"] == pytest.approx(200, abs=10)
    gaps_ns = [after.t_capture_ns - before.t_end_ns for before, after in pairwise(chunks)]
    assert sum(abs(gap_ns) > JITTER_NS for gap_ns in gaps_ns) == 1
    after = [chunk for chunk in chunks if chunk.t_capture_ns > lost_ns[1] + SECOND_NS]
    before = [chunk for chunk in chunks if chunk.t_capture_ns < lost_ns[0] - SECOND_NS]
    assert max(skews_ms(card, 60, before)) < FRAME_NS / MS
    skews = [abs(c - round(c / EVENT_NS) * EVENT_NS) / MS for c in clicks_ns(after)]
    assert max(skews) < FRAME_NS / MS


def test_a_device_that_is_opened_anew_is_measured_anew() -> None:
    told = counters()
    heard(Card(ppm=200.0), 120.0, told)
    assert told["drift_ppm"] == pytest.approx(200, abs=10)
    heard(Card(ppm=-50.0, seed=5), 10.0, told)
    assert "drift_ppm" not in told
    heard(Card(ppm=-50.0, seed=5), 120.0, told)
    assert told["drift_ppm"] == pytest.approx(-50, abs=10)


def test_little_sound_tells_nothing() -> None:
    told = counters()
    heard(Card(ppm=200.0), 15.0, told)
    assert "drift_ppm" not in told


def test_each_piece_between_two_gaps_has_a_level_of_its_own() -> None:
    drift, random = Drift(), np.random.default_rng(2)
    for level_ns in (0, 300 * MS, -80 * MS):
        for n in range(1500):
            position_ns = n * 20 * MS
            drift.add(position_ns, round(level_ns - 100e-6 * position_ns + random.normal(0, MS)))
        drift.begin()
    assert drift.ppm == pytest.approx(100, abs=20)


def test_what_no_crystal_does_is_not_told() -> None:
    drift = Drift()
    for n in range(6000):
        drift.add(n * 20 * MS, n * 20 * MS // 100)  # one part in a hundred is missing
    assert drift.ppm is None
    assert drift.slope == 0.0
