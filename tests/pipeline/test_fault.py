"""Faults that sensors report: named in the prediction, and masked where the configuration says."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from pipeline.config import Config
from pipeline.fault import MAX_AGE_NS, Faults
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.sample import AudioChunk, Health
from pipeline.stream import Camera, Microphone
from sensors import simulator
from tests.pipeline.messages import health

SECOND_NS = 1_000_000_000
CONFIG = Config(
    name="home",
    camera={"a": Camera(source="simulator")},
    microphone={"a": Microphone(source="simulator", mask_faults=())},
)


def stuck(stream: str, *faults: str, t_ns: int = 0) -> Health:
    return replace(health(stream, t_ns, "stuck"), faults=list(faults))


def test_faults_end_with_the_next_report_or_with_its_absence() -> None:
    faults = Faults(CONFIG)
    faults.hear(stuck("camera/a", "black", "frozen"), 0)
    faults.hear(stuck("camera/b", "black"), 0)
    assert faults.found(MAX_AGE_NS) == {"camera/a": ["black", "frozen"]}
    assert faults.found(MAX_AGE_NS + 1) == {}
    faults.hear(health("camera/a", 1), 1)
    assert faults.found(1) == {}


@pytest.mark.parametrize(
    ("stream", "fault", "masked"),
    [
        ("camera/a", "black", True),
        ("camera/a", "covered", True),
        ("camera/a", "frozen", False),
        ("microphone/a", "silent", False),
    ],
)
def test_the_configuration_says_what_masks(stream: str, fault: str, masked: bool) -> None:
    faults = Faults(CONFIG)
    faults.hear(stuck(stream, fault), 0)
    assert faults.masked(0) == ({stream} if masked else set())


@pytest.fixture(scope="module")
def model() -> CompiledBundle:
    return CompiledBundle(load_bundle("home"), "onnxruntime")


def predicted(model: CompiledBundle, *healths: Health) -> Prediction:
    """The prediction at 1 s of a node that has one picture and these healths."""
    node = FusionNode(CONFIG, model, stopwatch=lambda: 0)
    home = simulator.Home(seed=1)
    frames = simulator.frames(home, stream="camera/a", rate_hz=10, start_ns=9 * SECOND_NS // 10)
    node.accept(next(iter(frames)), SECOND_NS)
    for each in healths:
        node.accept(each, SECOND_NS)
    return node.tick(SECOND_NS)


def test_a_named_fault_changes_nothing_else(model: CompiledBundle) -> None:
    plain, named = predicted(model), predicted(model, stuck("camera/a", "frozen"))
    assert named.faults == {"camera/a": ["frozen"]}
    assert named.canonical() == {**plain.canonical(), "faults": named.faults}
    assert "faults" not in plain.canonical()
    assert plain.report(0)["faults"] == {}
    assert named.report(0)["faults"] == {"camera/a": ["frozen"]}


def test_a_masked_fault_makes_its_stream_absent(model: CompiledBundle) -> None:
    masked = predicted(model, stuck("camera/a", "black"))
    assert masked.missing == ["camera/a", "microphone/a"]
    assert masked.faults == {"camera/a": ["black"]}
    back = predicted(model, stuck("camera/a", "black"), health("camera/a", 1))
    assert back.canonical() == predicted(model).canonical()


def test_a_muted_microphone_is_absent_and_is_not_taken_for_silence(model: CompiledBundle) -> None:
    """Zeros that come in time are heard as quiet, until their sensor says that it is stuck."""
    line = Config(name="home", microphone={"a": Microphone(source="simulator")})
    node = FusionNode(line, model, stopwatch=lambda: 0)
    for seq in range(12):
        t_ns = seq * SECOND_NS // 10
        zeros = AudioChunk(
            stream="microphone/a",
            seq=seq,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns + SECOND_NS // 10,
            pcm=np.zeros((1600, 1), np.int16),
            rate_hz=16_000,
        )
        node.accept(zeros, zeros.t_publish_ns)
    tick_ns = 12 * SECOND_NS // 10
    assert node.tick(tick_ns).missing == []
    node.accept(stuck("microphone/a", "silent", t_ns=tick_ns), tick_ns)
    muted = node.tick(tick_ns)
    assert (muted.missing, muted.inputs, muted.weights) == (["microphone/a"], {}, {})
    assert muted.faults == {"microphone/a": ["silent"]}
