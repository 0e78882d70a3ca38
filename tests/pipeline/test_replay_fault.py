"""A replay masks what the live run masked."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.replay.virtual import WindowMode
from tests.pipeline.home import CAMERA, config, model
from tests.pipeline.live_log import START_NS, live, published, write_log
from tests.pipeline.messages import health
from tests.pipeline.test_replay_virtual import steps

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in which the camera says that it is black from 1.05 s to 2.55 s."""
    path = tmp_path_factory.mktemp("fault") / "a.mcap"
    begun, again, ended = (START_NS + int(s * SECOND_NS) for s in (1.05, 2.05, 2.55))
    said = [replace(health(CAMERA, t_ns, "stuck"), faults=["black"]) for t_ns in (begun, again)]
    samples = [*published(5, 4.0), *said, health(CAMERA, ended)]
    samples.sort(key=lambda sample: (sample.t_publish_ns, sample.stream))
    answers = list(live(samples, config(), FusionNode(config(), model()), 1_000_000))
    write_log(path, [*samples, *answers], config())
    return path


def named(predictions: list[Prediction]) -> list[Prediction]:
    return [p for p in predictions if p.faults]


@pytest.mark.parametrize("mode", ["recorded", "aligned"])
def test_a_replay_masks_what_was_masked(path: Path, mode: WindowMode) -> None:
    found = steps(path, None, mode)
    stuck = named([step.prediction for step in found])
    assert len(stuck) == 15
    assert all(p.faults == {CAMERA: ["black"]} and CAMERA in p.missing for p in stuck)
    for step in found:
        assert step.recorded is not None
        assert step.prediction.faults == step.recorded.faults
        if mode == "recorded":
            assert step.prediction.canonical() == step.recorded.canonical()
    assert sum(step.n_realigned for step in found) < 10


def test_a_replay_may_ask_for_what_was_masked(path: Path) -> None:
    found = steps(path, None, "aligned", f"{CAMERA.replace('/', '.')}.mask_faults=[]")
    stuck = named([step.prediction for step in found])
    assert stuck
    assert all(CAMERA in prediction.inputs for prediction in stuck)
