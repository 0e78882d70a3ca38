"""The log-mel front end: the same for sound in one piece or many, and right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engines.example import HOME
from engines.logmel import FLOOR, LogMel, mel_bands

assert HOME.audio is not None
SPEC = HOME.audio
TONE_HZ = 700.0


def sound(seconds: float, seed: int = 0) -> npt.NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    n = int(seconds * SPEC.rate_hz)
    tone = 8000.0 * np.sin(2.0 * np.pi * TONE_HZ * np.arange(n) / SPEC.rate_hz)
    return np.asarray((tone + rng.normal(0.0, 500.0, n))[:, None], np.int16)


def features(*pieces: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    logmel = LogMel(SPEC)
    for piece in pieces:
        logmel.push(piece)
    assert logmel.full
    return np.array(logmel.features())


@pytest.mark.parametrize("piece", [7, 160, 400, 1600, 5000])
def test_pieces_give_what_the_whole_gives(piece: int) -> None:
    pcm = sound(1.5)
    pieces = [pcm[at : at + piece] for at in range(0, len(pcm), piece)]
    whole = features(pcm)
    assert whole.shape == (1, 1, SPEC.frames, SPEC.mels)
    np.testing.assert_allclose(features(*pieces), whole, atol=1e-5)


@pytest.mark.parametrize("piece", [7, 160, 1600])
def test_the_same_sound_gives_the_same_bits_in_whatever_pieces(piece: int) -> None:
    pcm = sound(1.5)
    pieces = [pcm[at : at + piece] for at in range(0, len(pcm), piece)]
    np.testing.assert_array_equal(features(*pieces), features(pcm))


def test_only_the_newest_frames_are_kept() -> None:
    pcm = sound(3.0)
    n_hops = (len(pcm) - SPEC.frame_samples) // SPEC.hop_samples + 1
    newest = pcm[(n_hops - SPEC.frames) * SPEC.hop_samples :]
    np.testing.assert_allclose(features(pcm), features(newest), atol=1e-5)


def test_a_window_is_full_once_it_has_all_its_frames() -> None:
    needed = SPEC.frame_samples + (SPEC.frames - 1) * SPEC.hop_samples
    logmel = LogMel(SPEC)
    logmel.push(sound(2.0)[: needed - 1])
    assert not logmel.full
    logmel.push(sound(2.0)[needed - 1 : needed])
    assert logmel.full


def test_nothing_from_before_a_reset_remains() -> None:
    logmel = LogMel(SPEC)
    logmel.push(sound(1.23, seed=1))
    logmel.reset()
    assert not logmel.full
    logmel.push(sound(1.5, seed=2))
    np.testing.assert_array_equal(logmel.features(), features(sound(1.5, seed=2)))


def test_channels_are_averaged() -> None:
    left, right = sound(1.2, seed=1), sound(1.2, seed=2)
    mixed = ((left.astype(np.int32) + right) // 2).astype(np.int16)
    both = features(np.concatenate([left, right], axis=1))
    np.testing.assert_allclose(both, features(mixed), atol=0.05)


def test_it_agrees_with_a_discrete_fourier_transform_by_the_book() -> None:
    pcm = sound(1.2)
    size, hop = SPEC.frame_samples, SPEC.hop_samples
    n_hops = (len(pcm) - size) // hop + 1
    time, bins = np.arange(size), np.arange(size // 2 + 1)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * time / size)
    basis = np.exp(-2j * np.pi * np.outer(time, bins) / size)
    bands = mel_bands(SPEC.mels, size, SPEC.rate_hz).astype(np.float64)
    rows = []
    for at in range(n_hops - SPEC.frames, n_hops):
        frame = pcm[at * hop : at * hop + size, 0].astype(np.float64) / 32768.0
        rows.append(np.log(np.abs(frame * window @ basis) ** 2 @ bands + FLOOR))
    np.testing.assert_allclose(features(pcm)[0, 0], np.array(rows), atol=2e-4)


def test_a_tone_is_loudest_in_its_own_band_or_beside_it() -> None:
    bands = mel_bands(SPEC.mels, SPEC.frame_samples, SPEC.rate_hz)
    own = bands[round(TONE_HZ * SPEC.frame_samples / SPEC.rate_hz)].argmax()
    loudest = features(sound(1.2))[0, 0].mean(axis=0).argmax()
    assert abs(int(loudest) - int(own)) <= 1
