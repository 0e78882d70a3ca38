"""A bundle in three lines of Python."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from msgspec.structs import replace

from engines.error import BundleError, EngineError
from pipeline.error import ConfigError
from pipeline.frontend import RefusedError
from pipeline.node import FusionNode
from pipeline.offline import open_model
from pipeline.sample import Sample, TextEvent
from tests.pipeline.home import CAMERA, READINGS, config, model, recording
from tests.pipeline.small_bundle import make_bundle


def window(seed: int, duration_s: float = 3.0) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in recording(seed, duration_s):
        found.setdefault(sample.stream, []).append(sample)
    return {stream: samples[-12:] for stream, samples in found.items()}


def event(text: str, t_ns: int = 5) -> TextEvent:
    return TextEvent(stream="text/a", seq=0, t_capture_ns=t_ns, t_publish_ns=t_ns, text=text)


def test_it_says_what_the_node_says() -> None:
    samples = window(3)
    with open_model("home") as offline:
        found = offline.predict(samples, 3_000_000_000)
        node = FusionNode(config(), model())
        for sample in sorted(chain(*samples.values()), key=lambda s: s.t_publish_ns):
            node.accept(sample, sample.t_publish_ns)
        expected = node.tick(3_000_000_000)
        assert found.canonical() == expected.canonical() | {"inputs": found.inputs}
        assert found.inputs == expected.inputs
        for left_out in samples:
            less = {stream: own for stream, own in samples.items() if stream != left_out}
            assert left_out not in offline.predict(less).inputs
        assert offline.predict({}).inputs == {}


def test_windows_do_not_know_of_each_other() -> None:
    first, second = window(3), window(4)
    with open_model("home") as offline:
        both = offline.predict_all([first, second, first])
        assert both[0].outputs == both[2].outputs != both[1].outputs
        assert both[1].canonical() == offline.predict(second).canonical()


def test_however_old_a_sample_is_it_is_used(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "small")
    with open_model(str(folder)) as offline:
        prediction = offline.predict({"text/a": [event("hello")]}, tick_ns=10**15)
    assert prediction.inputs == {"text/a": [(0, 5)]}
    assert prediction.ages_ns == {"text/a": 10**15 - 5}


def test_a_caption_is_whole_at_once(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "small")
    with open_model(str(folder)) as offline:
        said = offline.predict({"text/a": [event("hello")]}).outputs["said"]
        assert isinstance(said, str)
        assert 1 <= len(said.split()) <= 4
        assert offline.predict({"text/a": [event("hello")]}).outputs["said"] == said


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "small")
    with open_model(str(folder)) as offline:
        with pytest.raises(ConfigError, match="stream 'words': name it"):
            offline.predict({"words": [event("a")]})
        with pytest.raises(ConfigError, match="stream 'text/b': name it and its samples"):
            offline.predict({"text/b": [event("a")]})
        with pytest.raises(EngineError, match="bundle small takes no camera"):
            offline.predict({CAMERA: window(3)[CAMERA]})
        wind = replace(window(3)[READINGS][0], names=("wind",))
        with pytest.raises(RefusedError, match="readings of wind"):
            offline.predict({READINGS: [wind]})
    with pytest.raises(BundleError, match="shipped bundles"):
        open_model("attic")
