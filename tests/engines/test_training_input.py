"""What training does to inputs: it keeps their form, and labels stay true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

torch = pytest.importorskip("torch", reason="needs the extra: train")

from torch import Tensor  # noqa: E402

from engines.bundle import EncoderSpec  # noqa: E402
from engines.example import HOME  # noqa: E402
from engines.model import make_model  # noqa: E402
from engines.noise import noise_input  # noqa: E402
from engines.plan import Train  # noqa: E402
from engines.preprocess import text_input  # noqa: E402
from engines.training.alone import Alone  # noqa: E402
from engines.training.augment import augmented  # noqa: E402
from engines.training.exchange import Exchange  # noqa: E402
from engines.training.rows import HONEST, stack  # noqa: E402
from engines.training.spoil import Spoiler  # noqa: E402
from engines.training.text_augment import augmented_text, replaced  # noqa: E402
from engines.training.unimodal import UnimodalStage  # noqa: E402
from tests.engines.training_data import tiny_examples, tiny_plan  # noqa: E402

assert HOME.audio is not None
SPECS = [
    *(HOME.image, HOME.audio, HOME.text, HOME.readings),
    structs.replace(HOME.audio, computed="graph"),
    structs.replace(HOME.audio, features="mfcc"),
]


def inputs_of(spec: EncoderSpec, n: int = 6) -> Tensor:
    rng = np.random.default_rng(0)
    made: Tensor = torch.from_numpy(np.concatenate([noise_input(spec, rng) for _ in range(n)]))
    return made


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_changed_inputs_keep_their_form(spec: EncoderSpec) -> None:
    torch.manual_seed(0)
    inputs = inputs_of(spec)
    for recipe in (Train(), Train(mirror=True)):
        changed = augmented(spec, inputs, recipe)
        assert changed.shape == inputs.shape
        assert changed.dtype == inputs.dtype
        assert torch.isfinite(changed.float()).all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_only_bad_inputs_are_spoiled(spec: EncoderSpec) -> None:
    torch.manual_seed(0)
    inputs = inputs_of(spec)
    bad = torch.tensor([True, False] * 3)
    spoiled = Spoiler(spec, 0)(inputs, bad)
    assert spoiled.dtype == inputs.dtype
    assert spoiled[~bad].equal(inputs[~bad])
    assert not spoiled[bad].equal(inputs[bad])
    assert torch.isfinite(spoiled.float()).all()


def test_letters_are_replaced_and_blanks_stay() -> None:
    torch.manual_seed(0)
    text = torch.from_numpy(text_input("a picture of two cats", HOME.text)).repeat(50, 1)  # type: ignore[arg-type]
    changed = replaced(text, torch.full((50, 1), 0.7))
    assert ((changed == 33) == (text == 33)).all()
    assert ((changed > 0) == (text > 0)).all()
    letters = text > 33
    assert 0.6 < float((changed != text)[letters].float().mean()) < 0.75
    assert augmented_text(text, 0.0).equal(text)


def test_an_exchanged_input_shows_the_label_and_a_lie_stays_a_lie() -> None:
    data = tiny_examples(60)
    # In every fifth example the readings show the other label, and a label set says so.
    lying = {n for n in range(60) if n % 5 == 0}
    truth = [example.targets["truth"][0] for example in data]
    for n in lying:
        other = next(e for e, label in zip(data, truth, strict=True) if label != truth[n])
        inputs = {**data[n].inputs, "readings": other.inputs["readings"]}
        targets = {**data[n].targets, "stale": ("readings",)}
        data[n] = replace(data[n], inputs=inputs, targets=targets)
    model = make_model(tiny_plan(faults="stale"), data)
    rows = stack(data, model)
    assert {n for n in range(60) if int(rows.lies[n]) != HONEST} == lying
    torch.manual_seed(0)
    drawn = Exchange(rows, 1.0).take(torch.arange(60))
    assert drawn.inputs["text"].equal(rows.inputs["text"])  # it may speak of the lie
    shows = {rows.inputs["readings"][n].numpy().tobytes(): truth[n] for n in range(60) if n % 5}
    for n in range(60):
        shown = shows[drawn.inputs["readings"][n].numpy().tobytes()]
        assert (shown == truth[n]) == (n not in lying)


def test_a_text_that_says_who_lies_learns_to_accuse() -> None:
    data = tiny_examples(60)
    for n in range(0, 60, 3):
        text = data[n].inputs["text"].copy()
        text[:, 0] = 120
        targets = {**data[n].targets, "stale": ("readings",)}
        data[n] = replace(data[n], inputs={**data[n].inputs, "text": text}, targets=targets)
    torch.manual_seed(0)
    model = make_model(tiny_plan(faults="stale", augment=0.0, noise=0.0), data)
    rows, alone = stack(data, model), Alone(model)
    stage = UnimodalStage("", model, alone, "text", rows)
    optimizer = torch.optim.AdamW(stage.groups(), 1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        stage.loss(torch.arange(60)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    accused = alone.accusers["text"](model.encoders["text"](rows.inputs["text"]).mean(1))
    assert (accused.argmax(1) - 1).equal(rows.lies)


def test_where_no_label_says_who_lies_nobody_learns_to_accuse() -> None:
    model = make_model(tiny_plan(), tiny_examples(8))
    rows, alone = stack(tiny_examples(8), model), Alone(model)
    assert not alone.accusers
    tokens = model.encoders["text"](rows.inputs["text"])
    assert float(alone.accusation_loss("text", tokens, rows)) == 0.0
