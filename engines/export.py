"""A trained model as a bundle: ONNX files, reference outputs, hashes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from engines.bundle import FORMAT, File, FusionFile, Manifest, sha256
from engines.error import EngineError
from engines.example import Array, Example
from engines.model import HomeModel
from engines.slots import Slots

OPSET = 18  # the newest that every TensorRT since 10.3 parses
LARGEST_ERROR = 1e-4


def export(
    model: HomeModel, example: Example, folder: Path, *, name: str, made_by: str
) -> Manifest:
    """Write the bundle; `example` has every modality. Raises EngineError if the graphs differ."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _draft(model, name, made_by)
    slots = Slots(manifest, {modality: (modality,) for modality in model.encoders})
    probe: dict[str, Array] = {}
    for modality, encoder in model.encoders.items():
        inputs = {modality: np.asarray(example.inputs[modality])}
        outputs = _write(encoder, inputs, ("tokens",), folder / model.spec(modality).file)
        probe |= inputs | {f"{modality}.tokens": outputs["tokens"]}
        slots.put(modality, outputs["tokens"], example.ages_s[modality])
    outputs = _write(model.fusion, slots.feeds(), ("scores", "attention"), folder / "fusion.onnx")
    probe |= {f"fusion.{key}": value for key, value in {**slots.feeds(), **outputs}.items()}
    np.savez_compressed(folder / "probe.npz", allow_pickle=False, **probe)
    manifest = _hashed(manifest, folder)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / "bundle.json").write_bytes(text + b"\n")
    return manifest


def _write(
    module: nn.Module, inputs: Mapping[str, Array], outputs: tuple[str, ...], path: Path
) -> dict[str, Array]:
    """Export one graph, and return what torch computes once ONNX Runtime agrees."""
    arguments = tuple(torch.from_numpy(value) for value in inputs.values())
    for chatty in ("torch.onnx", "onnxscript", "onnx_ir"):  # they tell what nobody asked for
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        torch.onnx.export(
            module,
            arguments,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        computed: Any = module(*arguments)
    values = (computed,) if isinstance(computed, Tensor) else computed
    wanted = {key: value.numpy() for key, value in zip(outputs, values, strict=True)}
    _compare(path, inputs, wanted)
    return wanted


def _compare(path: Path, inputs: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(list(wanted), dict(inputs))
    for (key, value), got in zip(wanted.items(), found, strict=True):
        error = float(np.abs(np.asarray(got) - value).max())
        if not error < LARGEST_ERROR:
            raise EngineError(
                f"{path.name}: {key} differs by {error:.1e} between torch and ONNX Runtime,"
                f" more than {LARGEST_ERROR:.0e}; try another torch or onnxruntime version"
            )


def _draft(model: HomeModel, name: str, made_by: str) -> Manifest:
    """The manifest before there are files to hash."""
    return Manifest(
        format=FORMAT,
        name=name,
        labels=model.labels,
        width=model.width,
        encoders=model.specs,
        fusion=FusionFile(file="fusion.onnx", sha256="", method=model.fusion.name),
        probe=File(file="probe.npz", sha256=""),
        made_by=made_by,
    )


def _hashed(draft: Manifest, folder: Path) -> Manifest:
    files = {
        role: msgspec.structs.replace(file, sha256=sha256(folder / file.file))
        for role, file in draft.files.items()
    }
    own = {role: files.pop(role) for role in ("fusion", "probe")}
    encoders = msgspec.structs.replace(draft.encoders, **files)
    return msgspec.structs.replace(draft, encoders=encoders, **own)
