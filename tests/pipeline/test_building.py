"""The node serves on one backend while another is built beside it, then swaps between two ticks."""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engines.ahead import missing
from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from engines.error import EngineError
from engines.options import EngineOptions
from engines.tensorrt.sidecar import decode
from engines.variant import graph_roles
from pipeline.building.builder import Builder, command
from pipeline.building.standby import Standby
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from tests.pipeline.home import TICK_NS, config, recording
from tests.pipeline.slow_builder import Orders
from tests.system.run import alive

LIMIT_S = 20.0


def compiled() -> CompiledBundle:
    return CompiledBundle(load_bundle("home"), "onnxruntime")


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    return Orders(tmp_path)


@pytest.fixture
def serving() -> CompiledBundle:
    return compiled()


@pytest.fixture
def node(serving: CompiledBundle) -> FusionNode:
    made = FusionNode(config("fusion.backend=tensorrt"), serving)
    for sample in recording(seed=1, duration_s=2.0):
        made.accept(sample, sample.t_publish_ns)
    return made


def ticks(
    node: FusionNode, standby: Standby, until: Callable[[Prediction], bool]
) -> Iterator[Prediction]:
    """The predictions of one tick, over and over, up to that for which the condition holds."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        standby.step(node)
        prediction = node.tick(20 * TICK_NS)
        yield prediction
        if until(prediction):
            return
        select.select([], [], [], 0.005)
    raise AssertionError("not in time")


def last(node: FusionNode, standby: Standby, until: Callable[[Prediction], bool]) -> Prediction:
    return [*ticks(node, standby, until)][-1]


def says(text: str) -> Callable[[Prediction], bool]:
    return lambda prediction: text in prediction.backend.get("why", "")


def is_swapped(prediction: Prediction) -> bool:
    return "why" not in prediction.backend


def test_it_serves_until_all_is_built_and_loaded_then_swaps(
    orders: Orders, serving: CompiledBundle, node: FusionNode
) -> None:
    loading = threading.Event()
    made: list[CompiledBundle] = []

    def load() -> CompiledBundle:
        assert loading.wait(LIMIT_S)
        made.append(compiled())
        return made[0]

    standby = Standby(orders.command, load)
    with orders.open() as told:
        told.write("0.62\n")
        building = last(node, standby, says("62%"))
        assert building.backend == {
            "requested": "tensorrt",
            "active": "onnxruntime",
            "why": "building image.onnx, 62%, about 25 s left",
        }
    assert last(node, standby, says("loading")).outputs == building.outputs
    loading.set()
    after = last(node, standby, is_swapped)
    assert after.outputs == building.outputs
    assert standby.is_over
    with pytest.raises(EngineError, match="closed"):
        serving.fusion.run({})
    made[0].close()
    with pytest.raises(EngineError, match="closed"):
        node.tick(20 * TICK_NS)


@pytest.mark.parametrize(
    ("order", "said"),
    [("fail", "operator Foo .* no kernel"), ("die", "the builder ended with exit code 9")],
)
def test_a_build_that_fails_is_told_in_each_prediction_and_serving_goes_on(
    orders: Orders, node: FusionNode, order: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    standby = Standby(orders.command, compiled)
    with orders.open() as told:
        told.write(f"{order}\n")
    failed = last(node, standby, says("failed: "))
    assert failed.backend["active"] == "onnxruntime"
    assert standby.is_over
    again = last(node, standby, lambda _: True)
    assert again.backend == failed.backend
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert re.search(said, failed.backend["why"])


def test_a_load_that_fails_is_told_too(node: FusionNode) -> None:
    def load() -> CompiledBundle:
        raise EngineError("image.onnx: tokens is off by 0.3")

    failed = last(node, Standby(load=load), says("failed: "))
    assert failed.backend["why"] == "failed: image.onnx: tokens is off by 0.3"


def test_a_worker_ends_what_it_has_begun_with_the_old_engines(orders: Orders) -> None:
    with ThreadPoolExecutor(1) as worker:
        node = FusionNode(config("fusion.worker=true"), compiled(), executor=worker)
        for sample in recording(seed=1, duration_s=1.0):
            node.accept(sample, sample.t_publish_ns)
        reference = node.tick(10 * TICK_NS)
        for sample in recording(seed=1, duration_s=1.5):
            if sample.t_publish_ns > 10**9:
                node.accept(sample, sample.t_publish_ns)
        node.use(compiled())
        assert node.tick(15 * TICK_NS).inputs.keys() == reference.inputs.keys()


def test_a_builder_that_is_closed_has_ended(orders: Orders) -> None:
    builder = Builder(orders.command)
    with orders.open() as told:
        told.write("0.1\n")
        deadline_s = time.monotonic() + LIMIT_S
        while "10%" not in builder.said:
            assert not builder.poll()
            assert time.monotonic() < deadline_s
            select.select([], [], [], 0.01)
        builder.close()
        builder.close()
    assert not alive(builder.pid)


def until_built(builder: Builder) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not builder.poll():
        assert time.monotonic() < deadline_s
        select.select([], [], [], 0.002)
    builder.close()


@pytest.mark.slow
def test_two_real_builders_share_a_cache_and_without_a_gpu_serving_goes_on(
    tmp_path: Path, node: FusionNode
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra: tensorrt-rtx")
    bundle, options = load_bundle("home"), EngineOptions(cache=str(tmp_path))
    fusion = config("fusion.backend=tensorrt-rtx", f"fusion.engine_cache={tmp_path}").fusion
    for builder in [Builder(command(fusion)), Builder(command(fusion))]:
        until_built(builder)
    sidecars = [decode(path.read_bytes()) for path in tmp_path.glob("*.json")]
    names = {bundle.path(role).name for role in graph_roles(bundle.manifest)}
    assert sorted(sidecar.source for sidecar in sidecars) == sorted(names)
    assert missing(bundle, "tensorrt-rtx", options) == []
    standby = Standby(command(fusion), lambda: CompiledBundle(bundle, "tensorrt-rtx", options))
    failed = last(node, standby, says("failed: "))
    assert re.search("no CUDA|GPU", failed.backend["why"])
    assert failed.backend["active"] == "onnxruntime"
