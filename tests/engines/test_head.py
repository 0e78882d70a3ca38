"""What holds of every head: what is unknown counts for nothing, and all parameters learn."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.example import Example  # noqa: E402
from engines.model import FusionModel, make_model  # noqa: E402
from engines.output import MEMORIES, RetrieveOutput  # noqa: E402
from tests.engines.multi_head import examples, plan  # noqa: E402

HEADS = tuple(plan().head)
NOTHING = Example(inputs={}, ages_s={}, targets={})


@pytest.fixture(scope="module")
def model() -> FusionModel:
    torch.manual_seed(0)
    return make_model(plan(), examples(21)).eval()


def target_of(model: FusionModel, name: str, n: int = 12) -> Any:
    """A target of which every row says something; for retrieval another answer."""
    head: Any = model.heads[name]
    if isinstance(model.outputs[name], RetrieveOutput):
        return torch.randn(n, head.outputs)
    target = head.target(examples(21))
    return target[head.known(target)][:n]


@pytest.mark.parametrize("name", HEADS)
def test_a_slice_is_as_wide_as_its_output_says(model: FusionModel, name: str) -> None:
    head: Any = model.heads[name]
    part = model.slices[name]
    assert part.stop - part.start == head.outputs == model.outputs[name].width
    assert model.slices[HEADS[0]].start == 0
    answer = head.answer(torch.randn(5, head.outputs))
    assert answer.shape == (5, head.outputs)


@pytest.mark.parametrize("name", HEADS)
def test_unknown_targets_count_for_nothing_and_are_never_nan(model: FusionModel, name: str) -> None:
    head: Any = model.heads[name]
    target = target_of(model, name)
    unknown = head.target([NOTHING])
    assert not head.known(unknown).any()
    assert head.known(target).all()
    mixed = torch.cat([target, unknown])
    part = torch.randn(len(mixed), head.outputs, requires_grad=True)
    losses = head.loss(part, mixed)
    assert losses.shape == (len(mixed),)
    assert losses[-1] == 0.0
    torch.testing.assert_close(losses[:-1], head.loss(part[:-1], target))
    torch.autograd.backward(losses.sum())
    assert torch.isfinite(part.grad).all()
    assert (part.grad[-1] == 0.0).all()
    assert part.grad[:-1].abs().sum() > 0.0
    none = head.loss(torch.zeros(1, head.outputs), unknown)
    assert none.item() == 0.0


@pytest.mark.parametrize("name", HEADS)
def test_following_the_gradient_lowers_the_loss(model: FusionModel, name: str) -> None:
    head: Any = model.heads[name]
    target = target_of(model, name, 6)
    part = torch.randn(len(target), head.outputs, requires_grad=True)
    optimizer = torch.optim.Adam([part], lr=0.2)
    first = head.loss(part, target).mean().item()
    for _ in range(40):
        optimizer.zero_grad()
        head.loss(part, target).mean().backward()
        optimizer.step()
    assert head.loss(part, target).mean().item() < 0.9 * first


def test_every_parameter_of_the_model_gets_a_finite_gradient() -> None:
    torch.manual_seed(1)
    made = examples(21)
    whole = make_model(plan(), made).train()
    tokens, modality, present = [], [], []
    for number, (name, encoder) in enumerate(whole.encoders.items()):
        empty = torch.zeros_like(torch.from_numpy(made[0].inputs[name]))
        rows = [torch.from_numpy(x.inputs[name]) if name in x.inputs else empty for x in made]
        tokens.append(encoder(torch.cat(rows)))
        n = tokens[-1].shape[1]
        modality += [number] * n
        there = torch.tensor([float(name in x.inputs) for x in made])
        present.append(there[:, None].expand(-1, n))
    there = torch.cat(present, 1).clone()
    there[0] = 0.0
    kinds = torch.tensor([modality], dtype=torch.int32)
    slots = (torch.cat(tokens, 1), kinds, 5.0 * torch.rand_like(there))
    outputs, _ = whole.fusion.logits(*slots, there)
    targets = whole.targets(made)
    other, _ = whole.fusion.logits(*slots, there * (kinds == 1))
    targets["near"] = other[:, whole.slices["near"]]
    torch.autograd.backward(whole.loss(outputs, targets))
    for name, parameter in whole.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0.0, name


def test_a_head_without_targets_takes_no_part(model: FusionModel) -> None:
    made = examples(6)
    width = sum(output.width for output in model.outputs.values())
    outputs = torch.randn(6, width, requires_grad=True)
    known = {"situation": model.targets(made)["situation"]}
    torch.autograd.backward(model.loss(outputs, known))
    used = torch.zeros(width, dtype=torch.bool)
    used[model.slices["situation"]] = True
    assert (outputs.grad[:, ~used] == 0.0).all()
    model.loss(outputs, {}).item()


def test_the_weight_of_a_head_weighs_its_loss(model: FusionModel) -> None:
    head: Any = model.heads["objects"]
    target = target_of(model, "objects")
    outputs = torch.randn(len(target), sum(x.width for x in model.outputs.values()))
    alone = head.loss(outputs[:, model.slices["objects"]], target).mean()
    torch.testing.assert_close(model.loss(outputs, {"objects": target}), 0.5 * alone)


def test_probabilities_embeddings_and_numbers_are_what_they_say(model: FusionModel) -> None:
    heads: Any = model.heads
    part = torch.randn(4, heads["situation"].outputs)
    torch.testing.assert_close(heads["situation"].answer(part).sum(1), torch.ones(4))
    length = heads["near"].answer(torch.randn(4, 8)).norm(dim=1)
    torch.testing.assert_close(length, torch.ones(4))
    assert torch.isfinite(heads["near"].answer(torch.zeros(1, 8))).all()
    made = examples(20)
    mean = heads["warmth"].target(made).nanmean()
    torch.testing.assert_close(
        heads["warmth"].answer(torch.zeros(1, 1))[0, 0], mean, atol=0.3, rtol=0
    )


def test_a_decoder_knows_only_the_words_before(model: FusionModel) -> None:
    head: Any = model.heads["said"]
    memory = torch.randn(1, head.outputs)
    assert head.outputs == MEMORIES * 16
    words = torch.tensor([[3, 1, 4, 1, 5, 2]], dtype=torch.int32)
    before = head.decoder(memory, words)
    words[0, 3:] = 2
    after = head.decoder(memory, words)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4] - after[:, 4]).abs().max() > 1e-6
    assert (head.decoder(memory + 1.0 * torch.randn_like(memory), words) - after).abs().max() > 1e-6


def test_temperatures_of_the_set_that_is_present_divide_the_logits(model: FusionModel) -> None:
    answer = model.answer()
    modality = torch.tensor([[0, 0, 1, 2]], dtype=torch.int32)
    present = torch.tensor(
        [[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=torch.float32
    )
    assert answer.present_set(modality, present).tolist() == [7, 1, 6, 0]
    tokens, age = torch.randn(4, 4, 32), torch.zeros(4, 4)
    place = list(model.outputs).index("situation")
    before = answer(tokens, modality, age, present)[place]
    head: Any = model.heads["situation"]
    head.temperature[6] = 4.0
    after = answer(tokens, modality, age, present)[place]
    head.temperature[6] = 1.0
    torch.testing.assert_close(after[[0, 1, 3]], before[[0, 1, 3]])
    torch.testing.assert_close(after[2], torch.softmax(before[2].log() / 4.0, 0))
