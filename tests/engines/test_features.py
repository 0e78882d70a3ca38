"""Log-mel and MFCC: torchaudio's numbers, in whatever pieces the sound comes, host or graph."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.bundle import AudioSpec  # noqa: E402
from engines.encoder.spectrum import Spectrum  # noqa: E402
from engines.error import EngineError  # noqa: E402
from engines.example import HOME  # noqa: E402
from engines.logmel import FLOOR, LogMel, cosines, mel_bands  # noqa: E402
from engines.preprocess import sound_input  # noqa: E402
from tests.engines.audio_reference import import_torchaudio  # noqa: E402

RELATIVE = 1e-5
assert HOME.audio is not None
LOGMEL = HOME.audio
MFCC = msgspec.structs.replace(LOGMEL, features="mfcc", coefficients=20)
SHORT = msgspec.structs.replace(MFCC, frames=9)
OTHER = msgspec.structs.replace(
    LOGMEL, rate_hz=22_050, frame_samples=512, hop_samples=200, mels=40, frames=50
)
EACH = pytest.mark.parametrize("spec", [LOGMEL, MFCC, OTHER], ids=["log-mel", "mfcc", "other"])


def sound(n: int, seed: int = 0) -> npt.NDArray[np.int16]:
    """Tones that come and go, in faint noise."""
    rng = np.random.default_rng(seed)
    turns = np.cumsum(0.05 + 0.3 * rng.random(n // 500 + 1).repeat(500)[:n])
    swell = np.sin(np.arange(n) / 3000.0) ** 2
    return np.asarray((6000.0 * swell * np.sin(turns) + rng.normal(0, 300, n))[:, None], np.int16)


def features(spec: AudioSpec, *pieces: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    front = LogMel(spec)
    for piece in pieces:
        front.push(piece)
    return np.array(front.features())


def reference(spec: AudioSpec, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """torchaudio's, (frames, bands), of sound that gives the spec's frames exactly.

    Our bands are scaled: each sums to at most one, and power is that of a frame of full scale. The
    same factors, one a band, are laid on torchaudio's filter bank; the rest is its own.
    """
    transforms = import_torchaudio().transforms
    sizes: dict[str, Any] = {
        "n_fft": spec.frame_samples,
        "hop_length": spec.hop_samples,
        "f_min": 60.0,
        "n_mels": spec.mels,
        "center": False,
    }
    wave = torch.from_numpy(pcm[:, 0].astype(np.float64) / 32768.0)
    if spec.features == "mfcc":
        transform = transforms.MFCC(spec.rate_hz, spec.coefficients, log_mels=True, melkwargs=sizes)
        _scale(transform.MelSpectrogram, spec)
        return np.asarray(transform.double()(wave).T)
    transform = transforms.MelSpectrogram(spec.rate_hz, **sizes)
    _scale(transform, spec)
    return np.asarray(torch.log(transform.double()(wave) + FLOOR).T)


def _scale(transform: Any, spec: AudioSpec) -> None:
    bank = transform.mel_scale.fb
    bank /= bank.sum(0).clamp(min=1.0) * spec.frame_samples


def assert_close(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
    """To 1e-5 of the largest feature."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < RELATIVE * np.abs(wanted).max()


@EACH
def test_features_are_those_of_torchaudio(spec: AudioSpec) -> None:
    pcm = sound(spec.samples)
    assert_close(features(spec, pcm)[0, 0], reference(spec, pcm))


def test_the_filter_bank_is_torchaudio_s_scaled_band_by_band() -> None:
    functional = import_torchaudio().functional
    size = LOGMEL.frame_samples
    bank = functional.melscale_fbanks(size // 2 + 1, 60.0, 8000.0, LOGMEL.mels, 16_000).numpy()
    scaled = bank / np.maximum(bank.sum(0), 1.0) / size
    np.testing.assert_allclose(mel_bands(64, size, 16_000), scaled, atol=1e-5 * scaled.max())


def test_the_cosines_are_torchaudio_s() -> None:
    wanted = import_torchaudio().functional.create_dct(20, 64, "ortho").numpy()
    np.testing.assert_allclose(cosines(64, 20), wanted, atol=1e-6)


@EACH
def test_the_graph_computes_what_the_host_does(spec: AudioSpec) -> None:
    pcm = sound(spec.samples + 12_345, seed=1)
    graph = Spectrum(spec)(torch.from_numpy(sound_input(pcm, spec))).numpy()
    assert_close(graph, features(spec, pcm))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=30))
def test_mfcc_of_any_pieces_are_those_of_the_whole(sizes: list[int]) -> None:
    """To the bit: a frame does not depend on what came with it."""
    pcm = sound(sum(sizes), seed=2)
    pieces = np.split(pcm, np.cumsum(sizes)[:-1])
    np.testing.assert_array_equal(features(SHORT, *pieces), features(SHORT, pcm))


def test_silence_is_finite() -> None:
    silence = np.zeros((MFCC.samples, 1), np.int16)
    for spec in (LOGMEL, MFCC):
        assert np.isfinite(features(spec, silence)).all()
        assert torch.isfinite(Spectrum(spec)(torch.zeros(1, 1, 1, spec.samples))).all()


def test_a_window_that_is_too_short_is_filled_up_in_front() -> None:
    made = sound_input(sound(700), LOGMEL)
    assert made.shape == (1, 1, 1, LOGMEL.samples)
    assert not made[..., :-560].any() and made[..., -560:].any()  # the two frames that are whole


def test_more_coefficients_than_bands_are_refused() -> None:
    with pytest.raises(EngineError, match="20 MFCC of 16 mel bands"):
        LogMel(msgspec.structs.replace(MFCC, mels=16))
