"""The encoders in torch: the tokens they make, and every weight is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.model import FusionModel, draft_specs  # noqa: E402
from engines.noise import noise_input  # noqa: E402
from engines.output import ClassifyOutput  # noqa: E402
from engines.plan import (  # noqa: E402
    AudioPlan,
    Classify,
    ImagePlan,
    Model,
    ReadingsPlan,
    TextPlan,
)

PLAN = Model(
    image=ImagePlan(),
    audio=AudioPlan(),
    text=TextPlan(),
    readings=ReadingsPlan(names=("temperature",)),
    head={"situation": Classify()},
)
OUTPUTS = {"situation": ClassifyOutput(labels=("a", "b", "c"))}


@pytest.fixture
def model() -> FusionModel:
    torch.manual_seed(0)
    return FusionModel(PLAN, draft_specs(PLAN), OUTPUTS).eval()


def inputs(model: FusionModel, modality: str, seed: int = 0) -> Any:
    return torch.from_numpy(noise_input(model.spec(modality), np.random.default_rng(seed)))


@pytest.mark.parametrize("modality", ["image", "audio", "text", "readings"])
def test_an_encoder_makes_the_promised_tokens(model: FusionModel, modality: str) -> None:
    tokens = model.encoders[modality](inputs(model, modality))
    assert tokens.shape == (1, model.spec(modality).tokens, 64)
    assert tokens.dtype == torch.float32


def test_a_text_ends_where_its_padding_starts(model: FusionModel) -> None:
    """An empty text is valid, and one letter more changes the tokens."""
    text = torch.zeros((1, 96), dtype=torch.int32)
    empty = model.encoders["text"](text)
    assert torch.isfinite(empty).all()
    text[0, :4] = 101
    four = model.encoders["text"](text)
    text[0, 4] = 101
    assert not torch.allclose(four, model.encoders["text"](text))


def test_readings_count_by_how_they_change(model: FusionModel) -> None:
    values = torch.randn(1, 8, 1)
    encoder = model.encoders["readings"]
    torch.testing.assert_close(encoder(values), encoder(values + 10.0), atol=1e-4, rtol=1e-4)


def test_every_parameter_of_the_encoders_gets_a_gradient(model: FusionModel) -> None:
    for modality, encoder in model.encoders.items():
        encoder.train()
        batch = torch.cat([inputs(model, modality, seed) for seed in range(4)])
        tokens = encoder(batch)
        (tokens * torch.randn_like(tokens)).sum().backward()
        for name, parameter in encoder.named_parameters():
            assert parameter.grad is not None, (modality, name)
            assert parameter.grad.abs().sum() > 0, (modality, name)


def test_the_weights_are_small(model: FusionModel) -> None:
    kept = [*model.encoders.parameters(), *model.fusion.parameters()]
    assert 4 * sum(parameter.numel() for parameter in kept) < 4_000_000
