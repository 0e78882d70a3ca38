"""A bundle is whole and computes what it says, or it is refused with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.bundle import SHIPPED, load_bundle, read_manifest, sha256
from engines.compiled import CompiledBundle
from engines.error import BundleError, EngineError
from engines.slots import Slots

MAX_BUNDLE_BYTES = 8 * 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / "home", tmp_path / "home"))


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "bundle.json"
    manifest = msgspec.json.decode(path.read_bytes())
    change(manifest)
    path.write_bytes(msgspec.json.encode(manifest))


def compile_bundle(folder: Path) -> CompiledBundle:
    return CompiledBundle(load_bundle(str(folder)), "onnxruntime")


def test_the_shipped_bundle_is_whole_small_and_right() -> None:
    bundle = load_bundle("home")
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) < MAX_BUNDLE_BYTES
    assert len(bundle.manifest.labels) >= 6
    CompiledBundle(bundle, "onnxruntime").close()


def test_a_bundle_that_does_not_say_its_fusion_is_one_of_self_attention(folder: Path) -> None:
    assert read_manifest(folder).fusion.method == "self_attention"
    edit(folder, lambda manifest: manifest["fusion"].update(method="mean"))
    assert read_manifest(folder).fusion.method == "mean"


def test_a_changed_file_is_refused(folder: Path) -> None:
    with open(folder / "image.onnx", "ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"image\.onnx: SHA-256 is .* the file was changed"):
        load_bundle(str(folder))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "text.onnx").unlink()
    with pytest.raises(BundleError, match=r"text\.onnx: cannot be read: No such file"):
        load_bundle(str(folder))


def test_a_bundle_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(BundleError, match=r"'attic': no folder .* shipped bundles: home"):
        load_bundle("attic")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is not a bundle of format 2"),
        ("{", "bundle.json"),
        ('{"format": 1}', "is not a bundle of format 2"),
        ('{"format": 2}', "missing required field"),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({}, r"length >= 1 - at `\$\.heads`"),
        ({"x": {"labels": ["a"]}}, r"missing required field `kind` - at `\$\.heads"),
        ({"x": {"kind": "guess"}}, r"Invalid value 'guess' - at `\$\.heads\[...\]\.kind`"),
        ({"x": {"kind": "classify"}}, "missing required field `labels`"),
        ({"x": {"kind": "match", "labels": []}}, "unknown field `labels`"),
    ],
)
def test_heads_that_are_none_are_refused(folder: Path, heads: Any, message: str) -> None:
    edit(folder, lambda manifest: manifest.update(heads=heads))
    with pytest.raises(BundleError, match=message):
        read_manifest(folder)


def test_every_file_of_a_variant_is_checked(folder: Path) -> None:
    half = {"image": {"file": "image-fp16.onnx", "sha256": "0"}}
    edit(folder, lambda manifest: manifest.update(variants={"fp16": half}))
    with pytest.raises(BundleError, match=r"image-fp16\.onnx: cannot be read"):
        load_bundle(str(folder))


def test_a_file_outside_the_bundle_is_refused(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["fusion"].update(file="../fusion.onnx"))
    with pytest.raises(BundleError, match=r"fusion\.file"):
        read_manifest(folder)


def test_a_graph_that_does_not_match_the_manifest_is_refused(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["encoders"]["image"].update(width_px=80))
    with pytest.raises(BundleError, match=r"image.onnx: the graph has .*96, 96.* says .*96, 80"):
        compile_bundle(folder)


def test_labels_that_do_not_match_the_graph_are_refused(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["heads"]["situation"]["labels"].append("party"))
    with pytest.raises(BundleError, match=r"fusion\.onnx: the graph has"):
        compile_bundle(folder)


def test_a_graph_that_computes_something_else_is_refused(folder: Path) -> None:
    path = folder / "probe.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["audio.tokens"] = arrays["audio.tokens"] + 0.1
    np.savez(path, allow_pickle=False, **arrays)
    edit(folder, lambda manifest: manifest["probe"].update(sha256=sha256(path)))
    with pytest.raises(EngineError, match=r"audio\.onnx: .* tokens is off by 0\.03"):
        compile_bundle(folder)


def test_slots_lie_in_the_order_of_modality_stream_and_token() -> None:
    manifest = read_manifest(SHIPPED / "home")
    slots = Slots(manifest, {"image": ["camera/a", "camera/b"], "text": ["text/t"]})
    spec = manifest.specs["image"]
    slots.put("camera/b", np.ones((1, spec.tokens, manifest.width), np.float32), age_s=2.0)
    feeds = slots.feeds()
    place = slice(spec.tokens, 2 * spec.tokens)
    assert feeds["present"].sum() == feeds["present"][0, place].sum() == spec.tokens
    assert (feeds["age"][0, place] == 2.0).all()
    sizes = [spec.tokens * spec.max_streams for spec in manifest.specs.values()]
    assert list(feeds["modality"][0]) == list(np.repeat(range(len(sizes)), sizes))
    attention = np.full((1, manifest.n_slots), 0.5, np.float32)
    assert slots.share("camera/b", attention) == 0.5 * spec.tokens
    slots.clear()
    assert feeds["present"].sum() == 0


def test_more_streams_than_the_bundle_takes_are_refused() -> None:
    manifest = read_manifest(SHIPPED / "home")
    with pytest.raises(EngineError, match="5 text streams: bundle home takes 4"):
        Slots(manifest, {"text": [f"text/{n}" for n in range(5)]})
