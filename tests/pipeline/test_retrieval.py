"""`sensorium index`, and what a node that has an index says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from engines.error import EngineError
from engines.index import NEAREST, read_index
from pipeline.cli import main
from pipeline.node import FusionNode
from tests.pipeline.home import config
from tests.pipeline.live_log import START_NS, published, write_log
from tests.pipeline.small_bundle import HEADS, make_bundle
from tests.pipeline.test_replay_dataset import LABELS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "past.mcap"
    write_log(path, [*published(5, 6.0), *LABELS], config())
    return path


@pytest.fixture(scope="module")
def index(folder: Path, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("index") / "past.npz"
    assert main(["index", str(folder), str(log), "--out", str(out), "--every", "0.5"]) == 0
    return out


def test_it_holds_what_and_when_each_window_was(folder: Path, index: Path) -> None:
    found = read_index(index, load_bundle(str(folder)).manifest)
    assert found.head == "near"
    assert 9 <= len(found.names) == len(set(found.names)) <= 13
    assert any(name.startswith("quiet fall 2.") for name in found.names)
    assert any(name[0].isdigit() for name in found.names)  # without a label the time alone
    assert np.linalg.norm(found.embeddings, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_node_names_the_nearest_windows(folder: Path, index: Path) -> None:
    settings = config(f"fusion.bundle={folder}", f"fusion.index={index}")
    node = FusionNode(settings, CompiledBundle(load_bundle(str(folder)), "onnxruntime"))
    for sample in published(5, 3.0):
        node.accept(sample, sample.t_publish_ns)
    near = node.tick(START_NS + 3_000_000_000).outputs["near"]
    assert isinstance(near, dict)
    assert len(near) == NEAREST
    assert list(near.values()) == sorted(near.values(), reverse=True)
    assert -1.001 < min(near.values()) <= max(near.values()) < 1.001


def test_an_index_that_does_not_fit_is_refused(
    folder: Path, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    manifest = load_bundle(str(folder)).manifest
    other = load_bundle(str(make_bundle(tmp_path / "x", {"near": HEADS["near"]}))).manifest
    with pytest.raises(EngineError, match="made with another bundle than small"):
        read_index(index, other)
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="is no index; make it with"):
        read_index(tmp_path / "no.npz", manifest)
    with pytest.raises(EngineError, match="is no index"):
        read_index(tmp_path / "missing.npz", manifest)
    out = str(tmp_path / "i.npz")
    assert main(["index", "home", str(log), "--out", out]) == 2
    assert "bundle home: heads that retrieve: none" in capsys.readouterr().err
