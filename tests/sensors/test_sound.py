"""Chunks whatever the blocks, and the time of their samples."""

from __future__ import annotations

import numpy as np
import pytest

from sensors.sound import ChunkCutter, Timeline

MS = 1_000_000


@pytest.mark.parametrize("from_hz", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("block", [1, 160, 333, 5_000])
def test_chunks_do_not_depend_on_the_blocks_they_come_in(from_hz: int, block: int) -> None:
    wave = np.random.default_rng(0).integers(-9_000, 9_000, (12_345, 2)).astype(np.int16)
    whole = ChunkCutter(from_hz, 16_000, 2).feed(wave, last=True)
    cutter = ChunkCutter(from_hz, 16_000, 2)
    pieces = [cut for n in range(0, len(wave), block) for cut in cutter.feed(wave[n : n + block])]
    pieces += cutter.feed(wave[:0], last=True)
    assert [at_ns for at_ns, _ in pieces] == [at_ns for at_ns, _ in whole]
    assert all((a == b).all() for (_, a), (_, b) in zip(pieces, whole, strict=True))
    assert [at_ns for at_ns, _ in pieces] == [n * 100 * MS for n in range(len(pieces))]


def test_the_time_line_follows_drift_and_ignores_jitter() -> None:
    drift, random = 200e-6, np.random.default_rng(1)
    line, errors_ms = Timeline(0), []
    for n in range(3000):
        position_ns = n * 20 * MS
        true_ns = round(position_ns * (1 + drift))
        line.observe(position_ns, true_ns + round(random.uniform(-5, 5) * MS))
        errors_ms.append(abs(line.time_ns(position_ns) - true_ns) / MS)
    assert max(errors_ms[200:]) < 2


def test_the_time_line_jumps_once_after_lost_sound() -> None:
    line = Timeline(0)
    lost_ns = 300 * MS
    jumps = [line.observe(n * 20 * MS, n * 20 * MS + lost_ns * (n >= 10)) for n in range(30)]
    assert sum(jumps) == 1
    assert line.time_ns(0) == lost_ns


def test_the_time_line_soon_forgets_a_late_first_block() -> None:
    line = Timeline(10 * MS)
    for n in range(10):
        line.observe(n * 20 * MS, n * 20 * MS + (n == 0) * 10 * MS)
    assert line.time_ns(0) <= 1 * MS


def test_one_wild_time_does_not_move_the_line() -> None:
    line = Timeline(0)
    assert not line.observe(20 * MS, 900 * MS)
    assert line.time_ns(0) == 0


def test_a_burst_of_late_blocks_is_no_lost_sound() -> None:
    """All of them come at one moment, so each is late by less than the one before."""
    line = Timeline(0)
    for n in range(60):
        held_ns = 20 * 20 * MS if 20 <= n < 40 else 0
        seen_ns = max(n * 20 * MS, 20 * 20 * MS + held_ns)
        assert not line.observe(n * 20 * MS, seen_ns if held_ns else n * 20 * MS)
    assert abs(line.time_ns(0)) < MS


def test_times_that_agree_with_nothing_are_followed_in_the_end() -> None:
    line, random = Timeline(0), np.random.default_rng(3)
    jumps = [line.observe(n * 20 * MS, round(random.uniform(1, 9) * 1e9)) for n in range(200)]
    assert any(jumps)
