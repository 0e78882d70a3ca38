"""Corruption has the dose that it says, and the same seed gives the same."""

from __future__ import annotations

import numpy as np
import pytest

from engines.corruption import bad_picture, bad_readings, bad_sound, bad_text


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_picture_has_a_quarter_of_its_contrast_under_noise() -> None:
    pixels = np.full((200, 200, 3), 120, np.uint8)
    pixels[:, 100:] = 200
    bad = bad_picture(pixels, 1.0, rng()).astype(float)
    wanted = np.clip(rng().standard_normal((400, 400)) * 255 * 0.45 + 0.25 * 120, 0, 255)
    assert bad[:, :100].mean() == pytest.approx(wanted.mean(), rel=0.02)
    assert (bad[..., 0] == bad[..., 2]).all()  # a grey picture stays grey
    assert np.array_equal(bad_picture(pixels, 0.0, rng()), pixels)
    assert np.array_equal(bad_picture(pixels, 1.0, rng()), bad.astype(np.uint8))


def test_noise_is_18_db_above_the_sound() -> None:
    time_s = np.arange(16_000) / 16_000
    pcm = (1000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)[:, None]
    bad = bad_sound(pcm, 1.0, rng()).astype(float)
    spectrum = np.abs(np.fft.rfft(bad[:, 0])) ** 2
    tone = spectrum[440] / (spectrum.sum() - spectrum[440])
    assert 10 * np.log10(tone) == pytest.approx(-18, abs=1.2)
    assert np.abs(bad).max() <= 32767
    assert np.array_equal(bad_sound(pcm, 0.0, rng()), pcm)
    assert not bad_sound(np.zeros((0, 1), np.int16), 1.0, rng()).size


def test_sound_that_would_clip_is_made_fainter() -> None:
    loud = np.full((4000, 2), 30_000, np.int16)
    bad = bad_sound(loud, 1.0, rng())
    assert bad.shape == loud.shape
    assert 32_000 < np.abs(bad.astype(int)).max() <= 32_767
    assert (np.abs(bad.astype(int)) == 32_767).sum() == 1


def test_seven_of_ten_letters_are_drawn_anew() -> None:
    text = "smoke alarm, 3 times! " * 200
    bad = bad_text(text, 1.0, rng())
    letters = [(a, b) for a, b in zip(text, bad, strict=True) if a.isalpha()]
    changed = sum(a != b for a, b in letters) / len(letters)
    assert changed == pytest.approx(0.7 * 25 / 26, abs=0.03)
    assert all(a == b for a, b in zip(text, bad, strict=True) if not a.isalpha())
    assert bad_text(text, 0.0, rng()) == text
    assert bad_text("", 1.0, rng()) == ""


def test_readings_move_by_a_share_of_their_size() -> None:
    values = np.tile(np.array([20.0, 1000.0], np.float32), (4000, 1))
    bad = bad_readings(values, 1.0, rng())
    assert bad.std(axis=0) == pytest.approx([5.0, 250.0], rel=0.05)
    assert np.array_equal(bad_readings(values, 0.0, rng()), values)
