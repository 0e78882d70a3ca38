"""The table [model]: it is read whole, or the error names the key and what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.simulated_home import HOME_PLAN
from engines.example import HOME
from engines.plan import HEADS, Classify
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.loader import amend, check, load

CONFIG = """
name = "x"
[camera.a]
source = 0
[model]
fusion = "concat"
[model.image]
height_px = 48
[model.head.situation]
kind = "classify"
[model.head.said]
kind = "caption"
labels = "told"
[model.head.things]
kind = "detect"
labels = "told"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "x.toml"
    made.write_text(CONFIG)
    return made


def test_the_order_of_heads_and_encoders_is_kept(path: Path) -> None:
    config = load(path)
    assert config.model is not None
    assert list(config.model.head) == ["situation", "said", "things"]
    assert list(config.model.encoders) == ["image"]
    assert config.model.label_sets == ("truth", "told")
    assert config.model.head["situation"] == Classify()
    spec = config.model.specs({"image": 4}).image
    assert spec is not None
    assert (spec.height_px, spec.width_px, spec.tokens, spec.max_streams) == (48, 96, 4, 1)


def test_a_plan_survives_the_way_to_a_child_and_an_override(path: Path) -> None:
    config = load(path)
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config
    other = amend(config, ["model.train.epochs=3"], "here").model
    assert other is not None
    assert other.train.epochs == 3
    assert list(other.head) == ["situation", "said", "things"]


def test_the_plan_of_the_shipped_bundle_has_its_inputs() -> None:
    plan = load(HOME_PLAN).model
    assert plan is not None
    tokens = {"image": 4, "audio": 4, "text": 2, "readings": 1}
    assert plan.specs(tokens) == HOME


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.widht=3", "unknown key `model.widht`; did you mean `model.width`?"),
        ("model.width=63", "model: width 63 is no multiple of 4"),
        ("model.fusion=magic", "model.fusion: invalid enum value 'magic'"),
        ("model.image.heigt_px=3", "did you mean `model.image.height_px`?"),
        ("model.image.encoder=vit", "model.image.encoder: invalid enum value 'vit'"),
        ("model.readings.window=3", "model.readings: object missing required field `names`"),
        ("model.train.epoch=3", "did you mean `model.train.epochs`?"),
        ("model.train.noise=2", "model.train.noise: expected `float` <= 1"),
        ("model.head.said.wrods=3", "unknown key `model.head.said.wrods`; did you mean"),
        ("model.head.said.kind=speak", "'speak' is no kind of head; those are classify, detect"),
        ("model.head.image.kind=match", "head `image`: the name is taken; choose another"),
        ("model.head.Said.kind=match", "model.head.Said: a name is up to 32 lower-case letters"),
        ("model.head.one.kind=match", "head `one`: to match takes two modalities"),
        ('model.head.one={kind="reconstruct", of="text"}', "head `one`: it has no encoder of text"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(path: Path, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(path, [key])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "model: no encoder: add a table such as [model.image]"),
        ({"image": {}}, "model: no head: add a table such as [model.head.situation]"),
        ({"image": {}, "head": {"x": {}}}, "model.head.x.kind: None is no kind of head"),
        ({"image": {}, "head": {"x": 3}}, "model.head.x.kind: None is no kind of head"),
        (3, "model: expected `object`, got `int`"),
    ],
)
def test_a_table_that_is_none_is_told(model: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check({"name": "x", "camera": {"a": {"source": 0}}, "model": model}, "here")
    assert message in str(error.value)


def test_there_is_a_plan_for_each_kind_of_head() -> None:
    assert tuple(HEADS) == (
        "classify",
        "detect",
        "match",
        "retrieve",
        "caption",
        "reconstruct",
        "regress",
    )
