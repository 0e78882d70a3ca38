"""The traps of OpenVINO: each was seen to give wrong numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino", reason="needs the extra: openvino")

from engines.bundle import load_bundle
from engines.error import EngineError
from engines.openvino_engine import OpenVinoEngine, _config, openvino_core
from tests.engines.opener import has_bf16

BUNDLE = load_bundle("home")
ROLES = [*BUNDLE.manifest.specs, "fusion"]
# Of tokens, which a normalisation brings to about 1.
ALLOWED = {"fp32": 1e-4, "bf16": 0.05}


@pytest.fixture(scope="module")
def probe() -> dict[str, Any]:
    with np.load(BUNDLE.path("probe")) as stored:
        return dict(stored)


def worst(role: str, precision: str, probe: dict[str, Any]) -> float:
    engine = OpenVinoEngine(BUNDLE.path(role), precision)
    prefix = "fusion." if role == "fusion" else ""
    found = engine.run({name: probe[prefix + name] for name in engine.inputs})
    engine.close()
    return max(float(np.abs(found[k] - probe[f"{role}.{k}"]).max()) for k in found)


@pytest.mark.parametrize("role", ROLES)
def test_in_fp32_every_graph_gives_the_stored_outputs(role: str, probe: dict[str, Any]) -> None:
    assert worst(role, "fp32", probe) < ALLOWED["fp32"]


@pytest.mark.skipif(not has_bf16(), reason="needs a CPU with bf16")
@pytest.mark.parametrize("role", ROLES)
def test_in_bf16_every_graph_is_near_them(role: str, probe: dict[str, Any]) -> None:
    assert worst(role, "bf16", probe) < ALLOWED["bf16"]


def test_fp32_never_fuses_attention_in_snippets() -> None:
    assert _config(openvino_core(), "fp32")["SNIPPETS_MODE"] == "DISABLE"


def test_it_has_one_thread_and_one_stream() -> None:
    engine = OpenVinoEngine(BUNDLE.path("image"), "fp32")
    compiled = engine._compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("NUM_STREAMS") == 1
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    engine.close()


@pytest.mark.skipif(not has_bf16(), reason="needs a CPU with bf16")
def test_bf16_is_taken_where_the_cpu_has_it_but_for_readings() -> None:
    assert OpenVinoEngine(BUNDLE.path("image")).precision == "bf16"
    assert OpenVinoEngine(BUNDLE.path("readings")).precision == "fp32"
    assert OpenVinoEngine(BUNDLE.path("readings"), "bf16").precision == "fp32"


class OldCpu:
    """A core on a CPU without bf16."""

    def get_property(self, *_: str) -> list[str]:
        return ["FP32", "INT8"]


def test_bf16_on_a_cpu_without_it_is_an_error() -> None:
    with pytest.raises(EngineError, match="this CPU has no instructions for it"):
        _config(OldCpu(), "bf16")


@pytest.mark.parametrize("precision", ["int8", "half"])
def test_another_precision_is_an_error(precision: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="openvino has fp32, bf16"):
        OpenVinoEngine(tmp_path / "any.onnx", precision)


def test_what_it_was_given_may_be_freed(probe: dict[str, Any]) -> None:
    engine = OpenVinoEngine(BUNDLE.path("image"), "fp32")
    wanted = engine.run({"image": probe["image"]})["tokens"]
    for _ in range(20):  # an array that is bound must not be one of the caller's
        found = engine.run({"image": probe["image"].copy()})["tokens"]
        np.random.default_rng(0).random(probe["image"].shape)
        assert np.array_equal(found, wanted)
    engine.close()
