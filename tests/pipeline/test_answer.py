"""Heads of every kind in one node: what it says live, in replay, and of nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from pipeline.answer import CAPTION_NS
from pipeline.config import Config
from pipeline.log.reader import LogReader
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.replay.comparison import score_distance
from pipeline.replay.golden import canonical_line, difference
from pipeline.replay.part import Choice, Part
from pipeline.replay.virtual import VirtualReplay
from pipeline.sample import Sample
from tests.pipeline.home import TICK_NS, config
from tests.pipeline.live_log import live, published, write_log
from tests.pipeline.small_bundle import HEADS, make_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def settings(folder: Path) -> Config:
    return config(f"fusion.bundle={folder}")


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return published(5, 12.0)


class Diligent(FusionNode):
    """Works after each tick, as a live node does."""

    def tick(self, now_ns: int) -> Prediction:
        prediction = super().tick(now_ns)
        self.work()
        self.work()
        return prediction


def node(settings: Config, kind: type[FusionNode] = FusionNode) -> FusionNode:
    return kind(settings, CompiledBundle(load_bundle(settings.fusion.bundle), "onnxruntime"))


@pytest.fixture(scope="module")
def said(settings: Config, samples: Sequence[Sample]) -> list[Prediction]:
    found = live(samples, settings, node(settings, Diligent), 20_000_000)
    return [x for x in found if isinstance(x, Prediction)]


def test_each_head_says_what_its_kind_says(said: Sequence[Prediction]) -> None:
    for prediction in said:
        assert list(prediction.outputs) == list(HEADS)
        assert prediction.main == "situation"
        assert sum(prediction.scores.values()) == pytest.approx(1.0, abs=1e-5)
        assert prediction.top in ("calm", "busy", "odd")
        kinds = {name: type(value) for name, value in prediction.outputs.items()}
        assert [name for name, kind in kinds.items() if kind is list] == ["near", "seen"]
        assert kinds["said"] is str
    reported = said[-1].report(0)
    assert reported["scores"].keys() == {"calm", "busy", "odd"}
    assert reported["outputs"].keys() == HEADS.keys() - {"situation"}
    assert msgspec.json.encode(reported)


def test_a_caption_grows_by_a_word_a_tick_and_then_stays(said: Sequence[Prediction]) -> None:
    texts = [str(prediction.outputs["said"]) for prediction in said]
    ticks = [prediction.tick_ns for prediction in said]
    assert texts[0] == ""
    n_begun = 0
    for (before, now), (_, t_ns) in zip(pairwise(texts), pairwise(ticks), strict=True):
        if now == before:
            continue
        words = now.split()
        if len(words) == 1:
            n_begun += 1
            assert (t_ns - TICK_NS) // CAPTION_NS != (t_ns - CAPTION_NS) // CAPTION_NS
        else:
            assert words[:-1] == before.split()
    assert n_begun >= 3
    assert max(len(text.split()) for text in texts) == 4


def test_replay_says_the_same_words_whoever_did_the_work(
    settings: Config, samples: Sequence[Sample], said: Sequence[Prediction], tmp_path: Path
) -> None:
    path = tmp_path / "live.mcap"
    write_log(path, [*samples, *said], settings)
    model = CompiledBundle(load_bundle(settings.fusion.bundle), "onnxruntime")
    with LogReader(path) as log:
        whole = [x.prediction for x in VirtualReplay(settings, model, Part(log, Choice())).run()]
        late = Part(log, Choice(start_s=3.3))
        steps = list(VirtualReplay(settings, model, late).run())
    assert list(map(canonical_line, whole)) == list(map(canonical_line, said))
    distances = [score_distance(x.recorded, x.prediction) for x in steps if x.recorded]
    assert distances[0] == 1.0  # it has said nothing yet
    assert max(distances[20:]) < 1e-5


def test_nothing_at_all_is_a_valid_input(settings: Config) -> None:
    made = node(settings)
    made.tick(TICK_NS)
    prediction = made.tick(2 * TICK_NS)
    assert not prediction.inputs
    found = [msgspec.json.decode(canonical_line(prediction))]
    assert difference(found, [prediction.canonical()]) is None


def test_a_bundle_without_labels_has_its_number_as_its_score(tmp_path: Path) -> None:
    heads = {name: HEADS[name] for name in ("near", "warmth")}
    folder = make_bundle(tmp_path / "x", heads)
    assert load_bundle(str(folder)).manifest.labels == ("warmth",)
    prediction = node(config(f"fusion.bundle={folder}")).tick(TICK_NS)
    assert (prediction.main, prediction.top) == ("warmth", "warmth")


def test_a_bundle_that_only_speaks_has_no_scores(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "x", {"said": HEADS["said"]})
    manifest = load_bundle(str(folder)).manifest
    assert (manifest.main, manifest.labels) == ("said", ())
    prediction = node(config(f"fusion.bundle={folder}")).tick(TICK_NS)
    assert (prediction.scores, prediction.top) == ({}, "")
    reported = prediction.report(0)
    assert (reported["scores"], reported["outputs"]) == ({}, {"said": ""})
