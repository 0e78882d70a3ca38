"""The contract that every engine backend keeps."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backend import BACKENDS, open_engine
from engines.bundle import load_bundle
from engines.engine import Engine, TensorSpec
from engines.error import EngineError
from tests.engines.opener import Open, openers

OPENERS = openers()


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Open:
    return OPENERS[request.param]


@pytest.fixture
def engine(opener: Open) -> Iterator[Engine]:
    opened = opener(load_bundle("home").path("image"))
    yield opened
    opened.close()


@pytest.fixture
def feeds() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"image": rng.integers(0, 256, (1, 96, 96, 3), np.uint8)}


def test_it_tells_what_it_takes_and_gives(engine: Engine) -> None:
    assert engine.inputs == {"image": TensorSpec(np.dtype(np.uint8), (1, 96, 96, 3))}
    assert engine.outputs == {"tokens": TensorSpec(np.dtype(np.float32), (1, 4, 64))}
    assert engine.backend in BACKENDS


def test_a_hundred_runs_equal_the_first(engine: Engine, feeds: dict[str, Any]) -> None:
    first = engine.run(feeds)["tokens"].copy()
    assert first.dtype == np.float32
    for _ in range(100):
        assert np.array_equal(engine.run(feeds)["tokens"], first)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, r"inputs are \['image'\], not \[\]"),
        ({"picture": np.zeros((1, 96, 96, 3), np.uint8)}, "not .'picture'."),
        ({"image": np.zeros((1, 96, 96, 3), np.float32)}, "image is uint8 .*, not float32"),
        ({"image": np.zeros((1, 96, 95, 3), np.uint8)}, r"not uint8 \(1, 96, 95, 3\)"),
    ],
)
def test_it_names_what_is_wrong_with_its_input(
    engine: Engine, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        engine.run(wrong)


def test_it_closes_twice_and_then_refuses_to_run(engine: Engine, feeds: dict[str, Any]) -> None:
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(feeds)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07\x12\x00"])
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, opener: Open, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"broken\.onnx"):
        opener(path)


def test_every_output_of_a_graph_with_many_inputs_and_outputs_is_right(opener: Open) -> None:
    bundle = load_bundle("home")
    with np.load(bundle.path("probe")) as stored:
        arrays = dict(stored)
    fusion = opener(bundle.path("fusion"))
    try:
        found = fusion.run({name: arrays[f"fusion.{name}"] for name in fusion.inputs})
        assert found.keys() == fusion.outputs.keys()
        for name, output in found.items():
            assert np.abs(output - arrays[f"fusion.{name}"]).max() < 1e-3
    finally:
        fusion.close()


def test_an_output_outlives_the_next_run_and_the_engine(
    engine: Engine, feeds: dict[str, Any]
) -> None:
    first = engine.run(feeds)["tokens"]
    kept = first.copy()
    engine.run({"image": 255 - feeds["image"]})
    engine.close()
    assert np.array_equal(first, kept)


def test_an_input_may_be_read_only_of_any_layout_and_change_after_the_run(
    engine: Engine, feeds: dict[str, Any]
) -> None:
    image = feeds["image"]
    wanted = engine.run(feeds)["tokens"]
    assert np.array_equal(engine.run({"image": np.asfortranarray(image)})["tokens"], wanted)
    frozen = image.copy()
    frozen.flags.writeable = False
    found = engine.run({"image": frozen})["tokens"]
    frozen.flags.writeable = True
    frozen[:] = 0
    assert np.array_equal(found, wanted)
    assert not np.array_equal(engine.run({"image": frozen})["tokens"], wanted)


def test_threads_that_share_an_engine_get_their_own_answers(engine: Engine) -> None:
    pictures = [np.full((1, 96, 96, 3), level, np.uint8) for level in (0, 80, 160, 240)]
    wanted = [engine.run({"image": picture})["tokens"] for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = pool.map(lambda picture: engine.run({"image": picture})["tokens"], pictures)
            assert all(map(np.array_equal, found, wanted))


def test_a_graph_whose_sizes_are_not_fixed_is_refused(tmp_path: Path, opener: Open) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra: train")
    model = onnx.load(load_bundle("home").path("readings"))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]
    path = tmp_path / "batch.onnx"
    onnx.save(model, path)
    with pytest.raises(EngineError, match=r"batch\.onnx: .*(sizes are fixed|refuses it)"):
        opener(path)


def test_an_unknown_backend_is_an_error_and_nothing_takes_its_place(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the backends are"):
        open_engine(tmp_path / "any.onnx", "abacus")
