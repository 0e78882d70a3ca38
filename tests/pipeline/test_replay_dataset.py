"""Live, replay and training give the encoders the very same inputs, to the bit."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from pipeline.dataset import examples
from pipeline.label.store import make_set, write_beside
from pipeline.log.reader import LogReader
from pipeline.replay.part import Choice, Part
from pipeline.replay.virtual import VirtualReplay, WindowMode
from pipeline.replay.windows import LabelledWindows, Sets, TruthTable
from pipeline.sample import Label
from tests.pipeline.home import TICK_NS, config, model
from tests.pipeline.live_log import START_NS, live, published, write_log

SECOND_NS = 1_000_000_000


class Listening(CompiledBundle):
    """A bundle that remembers what its encoders were given."""

    def __init__(self) -> None:
        super().__init__(load_bundle("home"), "onnxruntime")
        self.given: dict[str, list[str]] = defaultdict(list)

    def encode(self, modality: str, prepared: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        self.given[modality].append(digest(prepared))
        return super().encode(modality, prepared)


def digest(array: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def label(name: str, begin_s: float, until_s: float) -> Label:
    begin_ns, until_ns = (START_NS + int(t_s * SECOND_NS) for t_s in (begin_s, until_s))
    return Label(
        stream="label/truth",
        seq=0,
        t_capture_ns=begin_ns,
        t_publish_ns=begin_ns,
        label=name,
        t_until_ns=until_ns,
    )


LABELS = [label("quiet", 0.0, 3.0), replace(label("fall", 2.0, 3.0), seq=1)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Listening]:
    """A log of a live run with labels, and what its encoders were given."""
    from pipeline.node import FusionNode

    path, bundle = tmp_path_factory.mktemp("log") / "live.mcap", Listening()
    samples = published(5, 4.0)
    said = live(samples, config(), FusionNode(config(), bundle), 60_000_000)
    write_log(path, [*samples, *said, *LABELS], config())
    return path, bundle


def test_live_replay_and_training_have_equal_inputs(recorded: tuple[Path, Listening]) -> None:
    path, live_bundle = recorded
    replay_bundle = Listening()
    with LogReader(path) as log:
        part = Part(log, Choice(duration_s=2.99))
        steps = list(VirtualReplay(config(), replay_bundle, part, "recorded").run())
        scenes = list(LabelledWindows(part, config(), model().manifest, "recorded"))
    trained: dict[str, list[str]] = defaultdict(list)
    for example in examples(scenes, config(), model().manifest.encoders):
        for modality, array in example.inputs.items():
            if not trained[modality] or trained[modality][-1] != digest(array):
                trained[modality].append(digest(array))
    assert [scene.tick_ns for scene in scenes] == [step.prediction.tick_ns for step in steps]
    assert set(trained) == {"image", "audio", "text", "readings"}
    for modality, inputs in replay_bundle.given.items():
        assert trained[modality] == without_repeats(inputs)
        assert set(inputs) <= set(live_bundle.given[modality])


def without_repeats(inputs: list[str]) -> list[str]:
    return [x for n, x in enumerate(inputs) if not n or x != inputs[n - 1]]


def test_labels_name_what_began_last_and_nothing_outside(recorded: tuple[Path, Listening]) -> None:
    truth = TruthTable(LABELS)
    assert truth.at(START_NS - 1) == ()
    assert truth.at(START_NS) == ("quiet",)
    assert truth.at(START_NS + 2 * SECOND_NS) == ("quiet", "fall")
    assert truth.at(START_NS + 3 * SECOND_NS) == ()
    assert TruthTable([]).at(START_NS) == ()


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8), st.integers(-1, 14))
def test_labels_that_overlap_are_told_apart_at_each_moment(
    spans: list[tuple[int, int]], t_s: int
) -> None:
    labels = [label(str(n), begin_s, until_s) for n, (begin_s, until_s) in enumerate(spans)]
    t_ns = START_NS + t_s * SECOND_NS
    found = [x for x in labels if x.t_capture_ns <= t_ns < x.t_until_ns]
    expected = sorted(found, key=lambda x: x.t_capture_ns)
    assert TruthTable(labels).at(t_ns) == tuple(x.label for x in expected)


def test_labels_from_beside_the_log_take_the_place_of_those_in_it(
    recorded: tuple[Path, Listening], tmp_path: Path
) -> None:
    log_file = tmp_path / "live.mcap"
    log_file.write_bytes(recorded[0].read_bytes())
    span_ns = (START_NS + SECOND_NS, START_NS + 2 * SECOND_NS)
    sets = {
        f"label/{name}": make_set(name, [(*span_ns, what, 1.0)], "by hand")
        for name, what in (("truth", "cooking"), ("mood", "busy"))
    }
    write_beside(log_file, sets)
    with LogReader(log_file) as log:
        part, taker = Part(log, Choice()), model().manifest
        truth = list(LabelledWindows(part, config(), taker, "recorded"))
        both = list(LabelledWindows(part, config(), taker, "recorded", Sets(("truth", "mood"))))
        beside = list(LabelledWindows(part, config(), taker, "recorded", Sets(also=("mood",))))
    assert [scene.labels for scene in truth] == [{"truth": ("cooking",)}] * 10
    assert [scene.labels for scene in both] == [{"truth": ("cooking",), "mood": ("busy",)}] * 10
    assert [scene.labels for scene in beside] == [scene.labels for scene in both]


@pytest.mark.parametrize("mode", ["recorded", "aligned"])
def test_every_labelled_tick_is_cut(recorded: tuple[Path, Listening], mode: WindowMode) -> None:
    with LogReader(recorded[0]) as log:
        part = Part(log, Choice(start_s=0.95))
        scenes = list(LabelledWindows(part, config(), model().manifest, mode))
    assert [s.tick_ns for s in scenes] == [START_NS + n * TICK_NS for n in range(10, 30)]
    assert [s.labels["truth"] for s in scenes] == [("quiet",)] * 10 + [("quiet", "fall")] * 10
    for scene in scenes:
        for window in scene.samples.values():
            assert all(sample.t_publish_ns <= scene.tick_ns for sample in window)
