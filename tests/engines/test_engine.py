"""The contract that every engine backend keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backend import open_engine
from engines.bundle import load_bundle
from engines.engine import Engine, TensorSpec
from engines.error import EngineError

BACKENDS = ["onnxruntime"]


@pytest.fixture(params=BACKENDS)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    opened = open_engine(load_bundle("home").path("image"), request.param)
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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07\x12\x00"])
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, backend: str, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"broken\.onnx"):
        open_engine(path, backend)


def test_an_unknown_backend_is_an_error_and_nothing_takes_its_place(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the backends are"):
        open_engine(tmp_path / "any.onnx", "abacus")
