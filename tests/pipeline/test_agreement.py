"""Two backends on the same recording: how often they agree, and when that is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra: tensorrt-rtx")

from engines.bundle import SHIPPED, File, load_bundle, sha256  # noqa: E402
from engines.compiled import CompiledBundle  # noqa: E402
from engines.error import EngineError  # noqa: E402
from engines.options import EngineOptions  # noqa: E402
from engines.tensorrt.precision import to_fp16  # noqa: E402
from pipeline.building.agreement import Agreement  # noqa: E402
from pipeline.cli import main  # noqa: E402
from pipeline.prediction import Prediction  # noqa: E402
from tests.pipeline.home import config  # noqa: E402
from tests.pipeline.live_log import live_log  # noqa: E402


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("log") / "live.mcap"
    live_log(made, config(), duration_s=3.0)
    return made


@pytest.fixture
def halved(tmp_path: Path) -> Path:
    """The shipped bundle, with its picture and its fusion in half precision as well."""
    folder = Path(shutil.copytree(SHIPPED / "home", tmp_path / "home"))
    bundle = load_bundle(str(folder))
    files = {}
    for role in ("image", "fusion"):
        path = folder / f"{role}-fp16.onnx"
        path.write_bytes(to_fp16(bundle.path(role).read_bytes()))
        files[role] = File(file=path.name, sha256=sha256(path))
    manifest = msgspec.structs.replace(bundle.manifest, variants={"fp16": files})
    (folder / "bundle.json").write_bytes(msgspec.json.encode(manifest))
    return folder


def verify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["engines", "verify", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_a_backend_agrees_with_itself(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    code, found = verify(capsys, "--log", str(log), "--backend", "onnxruntime")
    assert code == 0
    assert found["predictions"] == 30
    assert found["heads"] == {"situation": {"agreement": 1.0, "largest_difference": 0.0}}


def test_half_precision_agrees_and_tells_how_far_it_is_apart(
    capsys: pytest.CaptureFixture[str], log: Path, halved: Path
) -> None:
    code, found = verify(capsys, "--log", str(log), "--bundle", str(halved), "--precision", "fp16")
    assert code == 0
    assert found["heads"]["situation"]["agreement"] == 1.0
    assert 0 < found["heads"]["situation"]["largest_difference"] < 0.01


def test_the_gate_names_the_worst_output_of_a_wrong_variant(halved: Path) -> None:
    """A graph whose largest weights are three times what they were."""
    path = halved / "fusion-fp16.onnx"
    graph = onnx.load(path)
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights = 3 * onnx.numpy_helper.to_array(largest)
    largest.CopyFrom(onnx.numpy_helper.from_array(weights, largest.name))
    onnx.save(graph, path)
    manifest = msgspec.json.decode((halved / "bundle.json").read_bytes())
    manifest["variants"]["fp16"]["fusion"]["sha256"] = sha256(path)
    (halved / "bundle.json").write_bytes(msgspec.json.encode(manifest))
    bundle = load_bundle(str(halved))
    said = r"fusion\.onnx: on onnxruntime, (situation|attention) is off by .* 0\.01 is allowed"
    with pytest.raises(EngineError, match=said):
        CompiledBundle(bundle, "onnxruntime", EngineOptions(precision="fp16"))


def test_a_precision_that_a_bundle_lacks_is_told_with_those_that_it_has(halved: Path) -> None:
    bundle = load_bundle(str(halved))
    with pytest.raises(EngineError, match="has no int8 for onnxruntime: it has fp32, fp16"):
        CompiledBundle(bundle, "onnxruntime", EngineOptions(precision="int8"))


def prediction(
    top: str, share: float, text: str = "", vector: tuple[float, ...] = ()
) -> Prediction:
    scores = {"quiet": 1 - share, "fall": 1 - share} | {top: share}
    return Prediction(
        stream="prediction/home",
        seq=0,
        t_capture_ns=0,
        t_publish_ns=0,
        outputs={"situation": scores, "caption": text, "embedding": list(vector)},
        inputs={},
        ages_ns={},
        missing=[],
        weights={},
        backend={},
    )


def test_it_is_refused_where_a_head_agrees_too_seldom() -> None:
    counts = Agreement()
    for n in range(100):
        one = prediction("fall", 0.9, "a cat", (1.0, 0.0))
        other = prediction("fall" if n else "quiet", 0.8, "a cat" if n > 1 else "", (0.9, 0.01))
        counts.add(one, other)
    found = counts.result()
    assert found["heads"]["situation"]["agreement"] == 0.99
    assert found["heads"]["caption"]["agreement"] == 0.98
    assert found["heads"]["embedding"]["agreement"] == 1.0
    assert found["heads"]["situation"]["largest_difference"] == pytest.approx(0.7)
    assert not found["passed"]


def test_engines_are_listed_verified_and_pruned(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra: tensorrt-rtx")
    cache = ("--cache", str(tmp_path))
    assert main(["compile", "home", "--backend", "tensorrt-rtx", *cache]) == 0
    assert "built image.onnx, audio.onnx" in capsys.readouterr().out
    assert main(["compile", "home", "--backend", "tensorrt-rtx", *cache]) == 0
    assert "all was built before" in capsys.readouterr().out
    assert main(["engines", "list", *cache]) == 0
    assert capsys.readouterr().out.count("tensorrt-rtx") == 5
    assert main(["engines", "verify", *cache]) == 0
    next(tmp_path.glob("*.plan")).write_bytes(b"damaged")
    assert main(["engines", "verify", *cache]) == 1
    assert "5 engines, 1 wrong" in capsys.readouterr().out
    assert main(["engines", "prune", "--max-mb", "0", *cache]) == 0
    assert main(["engines", "list", *cache]) == 0
    assert "no engines" in capsys.readouterr().out
    assert main(["compile", "home", "--backend", "onnxruntime"]) == 2
