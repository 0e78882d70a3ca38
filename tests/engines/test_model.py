"""The torch models: what is missing has no effect, and every weight is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.example import HOME  # noqa: E402
from engines.model import Fusion, HomeModel  # noqa: E402
from engines.noise import noise_input  # noqa: E402

LABELS = ("a", "b", "c")
N_SLOTS = 44


@pytest.fixture
def model() -> HomeModel:
    torch.manual_seed(0)
    return HomeModel(HOME, LABELS).eval()


def inputs(model: HomeModel, modality: str, seed: int = 0) -> Any:
    return torch.from_numpy(noise_input(model.spec(modality), np.random.default_rng(seed)))


def feeds(present: float, n: int = 1) -> list[Any]:
    """tokens, modality, age, present."""
    modality = torch.tensor([0] * 16 + [1] * 16 + [2] * 8 + [3] * 4).expand(n, -1)
    there = torch.full((n, N_SLOTS), present)
    return [torch.randn(n, N_SLOTS, 64), modality, torch.rand(n, N_SLOTS), there]


@pytest.mark.parametrize("modality", ["image", "audio", "text", "readings"])
def test_an_encoder_makes_the_promised_tokens(model: HomeModel, modality: str) -> None:
    tokens = model.encoders[modality](inputs(model, modality))
    assert tokens.shape == (1, model.spec(modality).tokens, 64)
    assert tokens.dtype == torch.float32


def test_a_text_ends_where_its_padding_starts(model: HomeModel) -> None:
    """An empty text is valid, and one letter more changes the tokens."""
    text = torch.zeros((1, 96), dtype=torch.int32)
    empty = model.encoders["text"](text)
    assert torch.isfinite(empty).all()
    text[0, :4] = 101
    four = model.encoders["text"](text)
    text[0, 4] = 101
    assert not torch.allclose(four, model.encoders["text"](text))


def test_readings_count_by_how_they_change(model: HomeModel) -> None:
    values = torch.randn(1, 8, 1)
    encoder = model.encoders["readings"]
    torch.testing.assert_close(encoder(values), encoder(values + 10.0), atol=1e-4, rtol=1e-4)


def test_scores_and_attention_sum_to_one(model: HomeModel) -> None:
    scores, attention = model.fusion(*feeds(1.0))
    assert scores.shape == (1, len(LABELS))
    assert attention.shape == (1, N_SLOTS)
    assert float(scores.sum().detach()) == pytest.approx(1.0, abs=1e-5)
    assert float(attention.sum().detach()) == pytest.approx(1.0, abs=1e-5)


def test_a_missing_slot_has_no_effect_even_if_it_holds_nan(model: HomeModel) -> None:
    whole = feeds(1.0)
    whole[3][:, 16:32] = 0.0
    scores, attention = model.fusion(*whole)
    whole[0][:, 16:32] = float("nan")
    whole[2][:, 16:32] = float("nan")
    scores_with_nan, _ = model.fusion(*whole)
    torch.testing.assert_close(scores_with_nan, scores)
    assert float(attention[:, 16:32].sum().detach()) == 0.0
    assert float(attention.sum().detach()) == pytest.approx(1.0, abs=1e-5)


def test_nothing_present_is_a_valid_input(model: HomeModel) -> None:
    blank = feeds(0.0)
    blank[0][:] = float("nan")
    scores, attention = model.fusion(*blank)
    assert torch.isfinite(scores).all()
    assert torch.isfinite(attention).all()


def test_the_order_of_two_cameras_does_not_matter(model: HomeModel) -> None:
    slots = feeds(1.0)
    scores, _ = model.fusion(*slots)
    order = torch.arange(N_SLOTS)
    order[:8] = torch.tensor([4, 5, 6, 7, 0, 1, 2, 3])
    swapped, _ = model.fusion(*(part[:, order] for part in slots))
    torch.testing.assert_close(swapped, scores, atol=1e-5, rtol=1e-4)


def test_an_old_token_counts_otherwise_than_a_fresh_one(model: HomeModel) -> None:
    slots = feeds(1.0)
    fresh, _ = model.fusion(*slots)
    slots[2][:, :16] = 8.0
    assert not torch.allclose(model.fusion(*slots)[0], fresh)


def test_every_parameter_of_the_encoders_gets_a_gradient(model: HomeModel) -> None:
    for modality, encoder in model.encoders.items():
        encoder.train()
        batch = torch.cat([inputs(model, modality, seed) for seed in range(4)])
        tokens = encoder(batch)
        (tokens * torch.randn_like(tokens)).sum().backward()
        for name, parameter in encoder.named_parameters():
            assert parameter.grad is not None, (modality, name)
            assert parameter.grad.abs().sum() > 0, (modality, name)


def test_every_parameter_of_the_fusion_gets_a_gradient() -> None:
    torch.manual_seed(1)
    fusion = Fusion(64, 4, len(LABELS))
    slots = feeds(1.0, n=4)
    slots[3][0] = 0.0  # what stands for a missing token matters where all are missing
    logits, _ = fusion.logits(*slots)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_weights_are_small(model: HomeModel) -> None:
    kept = [*model.encoders.parameters(), *model.fusion.parameters()]
    assert 4 * sum(parameter.numel() for parameter in kept) < 4_000_000
