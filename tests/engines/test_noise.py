"""Noise in place of an input, and harmless changes of one."""

from __future__ import annotations

import numpy as np
import pytest

from engines.bundle import EncoderSpec
from engines.example import HOME
from engines.noise import noise_input

FORMS = {
    "image": (np.uint8, (1, 96, 96, 3)),
    "audio": (np.float32, (1, 1, 98, 64)),
    "text": (np.int32, (1, 96)),
    "readings": (np.float32, (1, 8, 1)),
}


def spec(modality: str) -> EncoderSpec:
    found: EncoderSpec = getattr(HOME, modality)
    return found


@pytest.mark.parametrize("modality", FORMS)
def test_noise_has_the_form_of_an_input(modality: str) -> None:
    dtype, shape = FORMS[modality]
    noise = noise_input(spec(modality), np.random.default_rng(0))
    assert noise.dtype == dtype
    assert noise.shape == shape


@pytest.mark.parametrize("modality", FORMS)
def test_noise_varies_with_the_generator_and_repeats_with_its_seed(modality: str) -> None:
    first, again, other = (
        noise_input(spec(modality), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
