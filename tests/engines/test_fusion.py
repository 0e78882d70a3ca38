"""What holds of every fusion: what is missing has no effect, what is there has, all is trained."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.fusion.entry import Sizes  # noqa: E402
from engines.fusion.fusion import METHODS, Fusion  # noqa: E402
from engines.fusion.name import DEFAULT_FUSION, FUSIONS, FusionName  # noqa: E402

SIZES = Sizes(width=64, modalities=4, outputs=3)
SLOTS = (16, 16, 8, 4)  # of each modality
N_SLOTS = sum(SLOTS)
# Softmax ignores what is added to all: rounding still gives such a parameter some gradient.
LEAST_GRADIENT = 1e-6

pytestmark = pytest.mark.parametrize("name", FUSIONS)


def fusion(name: FusionName, seed: int = 0) -> Fusion:
    """In the middle of a training, where no parameter is zero any more."""
    torch.manual_seed(seed)
    made = Fusion(name, SIZES).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def feeds(n: int = 1) -> list[Any]:
    """tokens, modality, age, present."""
    modality = torch.repeat_interleave(torch.arange(4, dtype=torch.int32), torch.tensor(SLOTS))
    age = 5.0 * torch.rand(n, N_SLOTS)
    return [torch.randn(n, N_SLOTS, 64), modality.expand(n, -1), age, torch.ones(n, N_SLOTS)]


def only(*slots: int) -> Any:
    """The presence of these slots alone."""
    present = torch.zeros(1, N_SLOTS)
    present[:, list(slots)] = 1.0
    return present


MASKS = {
    "all": range(N_SLOTS),
    "no sound": [*range(16), *range(32, N_SLOTS)],
    "text only": range(32, 40),
    "one slot": [40],
    "some of each": [1, 5, 16, 31, 34, 43],
    "nothing": [],
}


def test_the_names_are_the_methods(name: FusionName) -> None:
    assert name in METHODS
    assert len(METHODS) == len(FUSIONS) == 10
    assert DEFAULT_FUSION in METHODS


@pytest.mark.parametrize("there", MASKS.values(), ids=MASKS.keys())
def test_weights_sum_to_one_and_only_what_is_there_has_weight(name: FusionName, there: Any) -> None:
    slots = feeds()
    slots[3] = only(*there)
    logits, weight = fusion(name)(*slots)
    assert logits.shape == (1, SIZES.outputs)
    assert weight.shape == (1, N_SLOTS)
    assert torch.isfinite(logits).all()
    assert weight.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert (weight >= 0.0).all()
    if there:
        assert (weight[slots[3] < 0.5] == 0.0).all()


@pytest.mark.parametrize("there", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -1e30])
def test_what_stands_in_a_missing_slot_has_no_effect(
    name: FusionName, there: Any, broken: float
) -> None:
    slots = feeds()
    slots[3] = only(*there)
    model = fusion(name)
    scores, weight = model(*slots)
    missing = slots[3] < 0.5
    slots[0][missing] = broken
    slots[2][missing] = broken
    again, weight_again = model(*slots)
    assert torch.isfinite(again).all()
    assert torch.equal(again, scores)
    assert torch.equal(weight_again, weight)


def test_no_gradient_comes_from_a_missing_slot_and_none_is_nan(name: FusionName) -> None:
    slots = feeds(n=3)
    slots[3] = (torch.rand(3, N_SLOTS) > 0.5).float()
    slots[3][2] = 0.0
    slots[0][slots[3] < 0.5] = float("nan")
    slots[0].requires_grad_()
    model = fusion(name)
    logits, _ = model.logits(*slots)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    assert (slots[0].grad[slots[3] < 0.5] == 0.0).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_the_order_of_a_modality_s_slots_does_not_matter(name: FusionName) -> None:
    slots = feeds()
    slots[3] = only(*MASKS["some of each"], 2, 3, 17, 35)
    model = fusion(name)
    scores, weight = model(*slots)
    starts = torch.tensor([0, *SLOTS]).cumsum(0)[:-1].tolist()
    order = torch.cat([s + torch.randperm(n) for s, n in zip(starts, SLOTS, strict=True)])
    swapped, weight_swapped = model(*(part[:, order] for part in slots))
    torch.testing.assert_close(swapped, scores, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weight_swapped, weight[:, order], atol=1e-5, rtol=1e-4)


def test_every_modality_present_or_old_has_an_effect(name: FusionName) -> None:
    """Each counts otherwise when another token stands there, when it is old, when it is gone."""
    slots, model = feeds(), fusion(name)
    scores, _ = model(*slots)
    for number in range(4):
        own = slots[1] == number
        other, old, gone = (list(slots) for _ in range(3))
        other[0] = torch.where(own.unsqueeze(2), torch.randn_like(slots[0]), slots[0])
        old[2] = torch.where(own, 25.0, slots[2])
        gone[3] = torch.where(own, 0.0, slots[3])
        for changed in (other, old, gone):
            assert (model(*changed)[0] - scores).abs().max() > 1e-5, number


def test_one_row_of_modalities_stands_for_a_batch(name: FusionName) -> None:
    slots, model = feeds(n=3), fusion(name)
    slots[3] = (torch.rand(3, N_SLOTS) > 0.3).float()
    scores, weight = model(*slots)
    slots[1] = slots[1][:1]
    torch.testing.assert_close(model(*slots), (scores, weight))


def test_a_scene_counts_the_same_alone_and_in_a_batch(name: FusionName) -> None:
    slots, model = feeds(n=4), fusion(name)
    slots[3] = (torch.rand(4, N_SLOTS) > 0.3).float()
    slots[3][1] = 0.0
    scores, _ = model(*slots)
    alone = torch.cat([model(*(part[i : i + 1] for part in slots))[0] for i in range(4)])
    torch.testing.assert_close(alone, scores, atol=1e-5, rtol=1e-4)


def test_every_parameter_gets_a_gradient(name: FusionName) -> None:
    torch.manual_seed(1)
    model = Fusion(name, SIZES)
    slots = feeds(n=8)
    slots[3] = (torch.rand(8, N_SLOTS) > 0.3).float()
    slots[3][0] = 0.0  # what stands for a missing token matters where all are missing,
    slots[3][1, 16:32] = 0.0  # or all of a modality
    logits, _ = model.logits(*slots)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])).backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.abs().max() > LEAST_GRADIENT, label


def test_it_is_small(name: FusionName) -> None:
    assert 4 * sum(parameter.numel() for parameter in fusion(name).parameters()) < 1_000_000
