"""Weights from files of each kind, and the errors for those that are not the encoder's."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.encoder.entry import make_encoder  # noqa: E402
from engines.encoder.image_resnet50 import Body  # noqa: E402
from engines.encoder.weights import load_weights, read_weights  # noqa: E402
from engines.error import EngineError  # noqa: E402
from engines.example import HOME  # noqa: E402
from tests.engines.safetensors import write_safetensors  # noqa: E402


def encoder(source: str = "") -> Any:
    assert HOME.readings is not None
    return make_encoder("readings", "conv", HOME.readings, 16, source)


def weights() -> dict[str, Any]:
    torch.manual_seed(7)
    return dict(encoder().state_dict())


def write(path: Path, values: dict[str, Any]) -> Path:
    if path.suffix == ".safetensors":
        write_safetensors(path, values)
    elif path.suffix == ".npz":
        np.savez(path, **{key: value.numpy() for key, value in values.items()})
    else:
        torch.save({"epoch": 3, "state_dict": values}, path)
    return path


@pytest.mark.parametrize("kind", [".safetensors", ".pt", ".pth", ".bin", ".npz"])
def test_weights_come_from_a_file_of_each_kind(kind: str, tmp_path: Path) -> None:
    wanted = weights()
    found = encoder(str(write(tmp_path / f"w{kind}", wanted))).state_dict()
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value)


def test_half_precision_is_read(tmp_path: Path) -> None:
    values = {"a": torch.randn(3, 2).half(), "b": torch.randn(5).bfloat16()}
    found = read_weights(write(tmp_path / "w.safetensors", values))
    assert torch.equal(found["a"], values["a"]) and torch.equal(found["b"], values["b"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.pop("level.bias"), "lack level.bias"),
        (lambda w: w.update(more=torch.zeros(1)), "does not know: more"),
        (lambda w: w.update({"level.bias": torch.zeros(3)}), r"level.bias is \(3,\), must be \(16"),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_weights_of_another_model_are_told_by_key(change: Any, told: str, tmp_path: Path) -> None:
    values = weights()
    change(values)
    path = write(tmp_path / "w.pt", values)
    with pytest.raises(EngineError, match=f"encoder 'conv' of readings, {path}: .*{told}"):
        encoder(str(path))


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("w.onnx", b"", "one of .safetensors"),
        ("w.pt", b"junk", "weights .*w.pt: "),
        ("w.npz", b"junk", "weights .*w.npz: "),
        ("w.safetensors", b"junk", "the file is damaged"),
        ("w.safetensors", struct.pack("<Q", 4) + b"{{{{", "the file is damaged"),
        (
            "w.safetensors",
            struct.pack("<Q", 55) + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}',
            "an array does not fit",
        ),
    ],
)
def test_a_damaged_file_is_one_clear_line(
    name: str, data: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EngineError, match=told) as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be read: No such file"):
        read_weights(tmp_path / "w.pt")


def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    torch.save({"a": Path("/")}, tmp_path / "w.pt")
    with pytest.raises(EngineError, match=r"w\.pt: not a plain file of weights"):
        read_weights(tmp_path / "w.pt")


def test_resnet50_has_the_names_that_its_weights_are_handed_around_with() -> None:
    with torch.device("meta"):
        own = Body().state_dict()
    assert len(own) == 318
    assert own["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert own["layer4.2.bn3.running_var"].shape == (2048,)
    assert own["layer3.5.conv2.weight"].shape == (256, 256, 3, 3)
    assert "layer2.1.downsample.0.weight" not in own
    counted = sum(v.numel() for k, v in own.items() if k.endswith(("weight", "bias")))
    assert counted == 25_557_032 - 2_049_000  # less the classifier of a thousand labels


@pytest.mark.slow
def test_resnet50_takes_its_weights_with_their_classifier(tmp_path: Path) -> None:
    torch.manual_seed(1)
    wanted = {k: v for k, v in Body().state_dict().items() if not k.endswith("tracked")}
    wanted |= {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    write_safetensors(tmp_path / "resnet50.safetensors", wanted)
    assert HOME.image is not None
    made: Any = make_encoder(
        "image", "resnet50", HOME.image, 16, str(tmp_path / "resnet50.safetensors")
    )
    torch.testing.assert_close(made.body.layer4[2].conv3.weight, wanted["layer4.2.conv3.weight"])
    with pytest.raises(EngineError, match=r"lack conv1\.weight"):
        wanted.pop("conv1.weight")
        load_weights(made.body, wanted, ("fc.",))
