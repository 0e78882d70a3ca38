"""A foreign text encoder from a local folder: its tokenizer, its weights, its graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")
pytest.importorskip("tokenizers", reason="needs the extra: test")

from engines.bundle import TextSpec, load_bundle  # noqa: E402
from engines.encoder.entry import make_encoder  # noqa: E402
from engines.error import BundleError, EngineError  # noqa: E402
from engines.example import Example  # noqa: E402
from engines.noise import noise_input  # noqa: E402
from engines.plan import Classify, Model, TextPlan  # noqa: E402
from engines.preprocess import text_input  # noqa: E402
from engines.tokenizer import foreign_text  # noqa: E402
from tests.engines.foreign_folder import WORDS, write_folder  # noqa: E402

LENGTH = 8
PLAIN = TextSpec(file="text.onnx", sha256="", tokens=2, max_streams=1, length=LENGTH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


def ids(text: str, folder: Path) -> list[str]:
    row = text_input(text, foreign_text(PLAIN, folder), folder)
    assert row.shape == (1, LENGTH) and row.dtype == np.int32
    return [WORDS[number - 1] for number in row[0] if number]


def encoder(folder: Path) -> Any:
    return make_encoder("text", "huggingface", foreign_text(PLAIN, folder), 16, str(folder)).eval()


def test_the_tokenizer_makes_the_ids(folder: Path) -> None:
    assert ids("Smoke in the KITCHEN", folder) == [
        "[CLS]",
        "smoke",
        "in",
        "the",
        "kitchen",
        "[SEP]",
    ]
    assert ids("cats xyz", folder) == ["[CLS]", "cat", "##s", "[UNK]", "[SEP]"]
    assert ids("", folder) == ["[CLS]", "[SEP]"]


def test_a_text_that_is_too_long_is_cut_before_its_end_mark(folder: Path) -> None:
    assert ids("the " * 30, folder) == ["[CLS]", *["the"] * (LENGTH - 2), "[SEP]"]


def test_padding_has_no_say_and_nothing_at_all_is_finite(folder: Path) -> None:
    encoded = encoder(folder)
    wide = make_encoder(
        "text",
        "huggingface",
        foreign_text(
            TextSpec(file="t.onnx", sha256="", tokens=2, max_streams=1, length=20), folder
        ),
        16,
        str(folder),
    ).eval()
    wide.load_state_dict(encoded.state_dict())
    short = torch.from_numpy(text_input("alarm", foreign_text(PLAIN, folder), folder))
    long = torch.nn.functional.pad(short, (0, 20 - LENGTH))
    with torch.no_grad():
        assert encoded(short).shape == (1, 2, 16)
        torch.testing.assert_close(encoded(short), wide(long), atol=1e-5, rtol=1e-5)
        assert torch.isfinite(encoded(torch.zeros(1, LENGTH, dtype=torch.int32))).all()


def test_every_parameter_that_can_gets_a_gradient(folder: Path) -> None:
    encoded = encoder(folder).train()
    rng = np.random.default_rng(0)
    rows = [noise_input(foreign_text(PLAIN, folder), rng) for _ in range(8)]
    tokens = encoded(torch.from_numpy(np.concatenate(rows)))
    (tokens * torch.randn_like(tokens)).sum().backward()
    for name, parameter in encoded.named_parameters():
        assert parameter.grad is not None, name
        # What is added to each score alike is of no effect, by construction.
        assert parameter.grad.abs().sum() > 0 or name.endswith("key.bias"), name


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_names_may_have_a_prefix(prefix: str, tmp_path: Path) -> None:
    found = encoder(write_folder(tmp_path / "a", prefix))
    wanted = encoder(write_folder(tmp_path / "b"))
    key = "body.encoder.layer.1.output.dense.weight"
    assert torch.equal(found.state_dict()[key], wanted.state_dict()[key])


def test_roberta_counts_its_positions_from_after_its_padding(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "roberta.", model_type="roberta", pad_token_id=1)
    assert encoder(folder).body.embeddings.places == slice(2, 2 + LENGTH)


def break_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))


def test_what_is_wrong_with_a_folder_is_told(folder: Path) -> None:
    break_config(folder, model_type="gpt2")
    with pytest.raises(EngineError, match=r"config\.json: .*gpt2.*BERT and RoBERTa are read"):
        encoder(folder)
    break_config(folder, model_type="bert", num_hidden_layers=3)
    with pytest.raises(EngineError, match=r"lack encoder\.layer\.2\..* and 13 more"):
        encoder(folder)
    break_config(folder, num_hidden_layers=2, max_position_embeddings=5)
    with pytest.raises(EngineError, match=r"length 8: .* reads at most 5 tokens"):
        encoder(folder)
    (folder / "model.safetensors").unlink()
    break_config(folder, max_position_embeddings=34)
    with pytest.raises(EngineError, match=r"has no model\.safetensors or pytorch_model\.bin"):
        encoder(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EngineError, match=r"tokenizer\.json: cannot be read: No such file"):
        encoder(folder)


def test_a_tokenizer_that_changed_is_refused(folder: Path) -> None:
    spec = foreign_text(PLAIN, folder)
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))
    with pytest.raises(EngineError, match="the file was changed"):
        text_input("smoke", spec, folder)


@pytest.mark.slow
def test_a_bundle_carries_the_tokenizer(folder: Path, tmp_path: Path) -> None:
    from engines.export import export
    from engines.model import make_model

    plan = Model(
        text=TextPlan(encoder="huggingface", folder=str(folder), length=LENGTH),
        head={"situation": Classify()},
        width=16,
    )
    spec = plan.specs().text
    assert spec is not None
    examples = [
        Example(
            inputs={"text": text_input(text, spec, folder)},
            ages_s={"text": 0.5},
            targets={"truth": (truth,)},
        )
        for text, truth in [("smoke in the kitchen", "bad"), ("cats", "good")]
    ]
    made = tmp_path / "bundle"
    manifest = export(make_model(plan, examples), examples, made, name="tiny", made_by="test")
    assert manifest.encoders.text is not None and manifest.encoders.text.tokenizer is not None
    bundle = load_bundle(str(made))
    found = text_input("smoke in the kitchen", manifest.encoders.text, bundle.folder)
    np.testing.assert_array_equal(found, examples[0].inputs["text"])
    (made / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="SHA-256"):
        load_bundle(str(made))
