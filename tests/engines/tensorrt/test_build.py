"""The real parser and builder of TensorRT-RTX, on the CPU: what it builds, and what it refuses."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: tensorrt-rtx")
pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra: tensorrt-rtx")

from engines.bundle import load_bundle
from engines.error import EngineError
from engines.options import EngineOptions
from engines.tensorrt.binding import Binding, load
from engines.tensorrt.build import build
from engines.tensorrt.plan_source import is_cached, key_of, open_plan, read_graph
from engines.tensorrt.sidecar import decode
from engines.tensorrt.timing import Timing
from tests.engines.tensorrt.graphs import UINT8, graph, node

WEIGHT = np.ones((4, 4), np.float32)
KEEPS_NOTHING = Timing(None)


@pytest.fixture
def binding() -> Binding:
    return load("tensorrt-rtx")


def built(binding: Binding, content: bytes, *flags: str) -> bytes:
    return build(binding, content, flags, KEEPS_NOTHING, lambda _: None)


def test_it_builds_and_tells_how_far_it_is(binding: Binding) -> None:
    shares: list[float] = []
    content = graph([node("MatMul", "in weight", "out")], [1, 4], {"weight": WEIGHT})
    assert len(build(binding, content, (), KEEPS_NOTHING, shares.append)) > 1000
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert built(binding, content, "TF32")


def test_an_open_batch_gets_a_profile(binding: Binding) -> None:
    content = graph([node("MatMul", "in weight", "out")], ["batch", 4], {"weight": WEIGHT})
    assert built(binding, content)


def test_any_other_open_size_is_refused_by_name(binding: Binding) -> None:
    content = graph([node("Relu", "in", "out")], [1, "time"])
    with pytest.raises(EngineError, match=r"input in is \(1, -1\): only the batch may be open"):
        built(binding, content)


def test_an_operator_that_is_not_parsed_is_named(binding: Binding) -> None:
    nodes = [
        node("Transpose", "in", "turned", perm=[0, 2, 1]),
        node("Cast", "turned", "out", to=1),
    ]
    content = graph(nodes, [1, 2, 3], out_shape=[1, 3, 2], kind=UINT8)
    with pytest.raises(EngineError, match=r"^tensorrt-rtx .*: operator Transpose \(node_turned\)"):
        built(binding, content)


def test_an_operator_that_is_not_built_is_named(binding: Binding) -> None:
    """Parsed, and then it is too large."""
    nodes = [node("TopK", "in n", "out", outputs="out where")]
    content = graph(nodes, [1, 5000], {"n": np.array([4000])}, out_shape=[1, 4000])
    with pytest.raises(EngineError, match=r"operator TOPK \(node_out\).* K exceeds the maximum"):
        built(binding, content)
    assert built(binding, graph([node("Relu", "in", "out")], [1, 4])), "it goes on afterwards"


def test_a_failure_without_a_name_is_told_as_it_is(binding: Binding) -> None:
    """A one-dimensional convolution and a constant: TensorRT-RTX finds no kernel for them."""
    kernel, shift = np.ones((4, 1, 3), np.float32), np.ones(1, np.float32)
    nodes = [node("Conv", "in kernel", "sound"), node("Add", "sound shift", "out")]
    content = graph(nodes, [1, 1, 8], {"kernel": kernel, "shift": shift}, out_shape=[1, 4, 6])
    with pytest.raises(EngineError, match="nbdims_bias"):
        built(binding, content)


def test_what_is_no_graph_is_refused(binding: Binding) -> None:
    with pytest.raises(EngineError, match="tensorrt-rtx"):
        built(binding, b"no graph")


def test_a_plan_comes_from_the_cache_until_a_weight_is_changed(
    binding: Binding, tmp_path: Path
) -> None:
    options = EngineOptions(cache=str(tmp_path / "engines"))
    path = tmp_path / "readings.onnx"
    path.write_bytes(load_bundle("home").path("readings").read_bytes())
    assert not is_cached(path, binding, None, options)
    plan = open_plan(path, binding, None, options)
    assert is_cached(path, binding, None, options)
    assert open_plan(path, binding, None, options) == plan
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not is_cached(path, binding, None, options)
    open_plan(path, binding, None, options)
    sidecars = [decode(file.read_bytes()) for file in (tmp_path / "engines").glob("*.json")]
    assert len({sidecar.key.graph_sha256 for sidecar in sidecars}) == 2
    assert {sidecar.key.version for sidecar in sidecars} == {binding.version}


def test_precisions_are_other_engines(binding: Binding) -> None:
    path = load_bundle("home").path("readings")
    keys = set()
    for precision in ("", "fp32", "tf32", "fp16"):
        options = EngineOptions(precision=precision)
        keys.add(key_of(read_graph(path, options), binding, None, options).digest)
    assert len(keys) == 3  # the default is fp32


def test_a_precision_that_it_has_not_is_refused(binding: Binding) -> None:
    path = load_bundle("home").path("readings")
    with pytest.raises(EngineError, match="precision 'bf16': TensorRT's are fp32, tf32, fp16"):
        open_plan(path, binding, None, EngineOptions(precision="bf16"))


class Config:
    """What TensorRT's builder configuration knows of timings, in memory."""

    def __init__(self, measured: bytes = b"") -> None:
        self.given, self.measured = b"nothing", measured

    def create_timing_cache(self, content: bytes) -> Config:
        self.given = content
        return self

    def set_timing_cache(self, cache: Config, ignore_mismatch: bool) -> None:
        assert cache is self
        assert not ignore_mismatch

    def get_timing_cache(self) -> Config:
        return self

    def serialize(self) -> bytes:
        return self.measured


def test_timings_are_kept_for_the_next_build(tmp_path: Path) -> None:
    timing, config = Timing(tmp_path / "timing.bin"), Config(b"measured")
    timing.give(config)
    assert config.given == b""
    timing.keep(config)
    again = Config()
    timing.give(again)
    assert again.given == b"measured"


def test_damaged_timings_are_told_of_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    timing, config = Timing(tmp_path / "timing.bin"), Config(b"measured")
    timing.keep(config)
    (tmp_path / "timing.bin").write_bytes(b"x" * 40)
    with caplog.at_level(logging.WARNING):
        timing.give(config)
    assert config.given == b""
    assert "is damaged" in caplog.text
