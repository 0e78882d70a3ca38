"""A trained model as a bundle: ONNX files, reference outputs, hashes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from engines.bundle import FORMAT, Bundle, File, FusionFile, Manifest, sha256
from engines.compiled import CompiledBundle
from engines.error import EngineError
from engines.example import Array, Example
from engines.model import FusionModel
from engines.slots import Slots
from engines.tokenizer import copy_tokenizer

OPSET = 18  # the newest that every TensorRT since 10.3 parses
LARGEST_ERROR = 1e-4


def export(
    model: FusionModel, examples: Sequence[Example], folder: Path, *, name: str, made_by: str
) -> Manifest:
    """Write the bundle. Raises EngineError if a graph differs from torch on any of the examples."""
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    manifest, example = _draft(model, name, made_by), _whole(model, examples)
    slots = Slots(manifest, {modality: (modality,) for modality in model.encoders})
    probe: dict[str, Array] = {}
    for modality, encoder in model.encoders.items():
        inputs = {modality: np.asarray(example.inputs[modality])}
        outputs = write_graph(encoder, inputs, ("tokens",), folder / model.spec(modality).file)
        probe |= inputs | {f"{modality}.tokens": outputs["tokens"]}
        slots.put(modality, outputs["tokens"], example.ages_s[modality])
    heads = (*model.outputs, "attention")
    outputs = write_graph(model.answer(), slots.feeds(), heads, folder / manifest.fusion.file)
    probe |= {f"fusion.{key}": value for key, value in {**slots.feeds(), **outputs}.items()}
    for head, output in manifest.captions.items():
        words = np.zeros((1, output.length), np.int32)
        inputs = {"memory": outputs[head], "words": words}
        decoder: Any = model.heads[head]
        spoken = write_graph(decoder.decoder, inputs, ("logits",), folder / output.file)
        probe |= {f"{head}.{key}": value for key, value in {**inputs, **spoken}.items()}
    if model.plan.text_folder is not None:
        copy_tokenizer(manifest.encoders.text, model.plan.text_folder, folder)
    np.savez_compressed(folder / manifest.probe.file, allow_pickle=False, **probe)
    manifest = _hashed(manifest, folder)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / "bundle.json").write_bytes(text + b"\n")
    parity(model, CompiledBundle(Bundle(folder, manifest), "onnxruntime"), examples)
    return manifest


def parity(model: FusionModel, bundle: CompiledBundle, examples: Iterable[Example]) -> float:
    """The largest difference between torch and the bundle's graphs, on windows as they are.

    Raises EngineError where it is LARGEST_ERROR or more.
    """
    worst, slots = 0.0, Slots(bundle.manifest, {name: (name,) for name in model.encoders})
    answer = model.answer().eval()
    for example in examples:
        slots.clear()
        for modality, inputs in example.inputs.items():
            tokens = bundle.encode(modality, inputs)
            wanted = _run(model.encoders[modality], {modality: inputs}, ("tokens",))
            worst = max(worst, _difference(modality, wanted, {"tokens": tokens}))
            slots.put(modality, tokens, example.ages_s[modality])
        wanted = _run(answer, slots.feeds(), (*model.outputs, "attention"))
        worst = max(worst, _difference("fusion", wanted, bundle.fusion.run(slots.feeds())))
    return worst


def _whole(model: FusionModel, examples: Sequence[Example]) -> Example:
    """An example with every modality, put together from several if none has all."""
    inputs: dict[str, Array] = {}
    ages_s: dict[str, float] = {}
    for example in sorted(examples, key=lambda x: -len(x.inputs)):
        for modality in example.inputs.keys() - inputs.keys():
            inputs[modality] = example.inputs[modality]
            ages_s[modality] = example.ages_s[modality]
    for modality in model.encoders:
        if modality not in inputs:
            raise EngineError(f"no example has {modality}: leave [model.{modality}] out")
    return Example(inputs=inputs, ages_s=ages_s, targets={})


def write_graph(
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
    wanted = _run(module, inputs, outputs)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: Any = session.run(list(wanted), dict(inputs))
    _difference(path.stem, wanted, dict(zip(wanted, found, strict=True)))
    return wanted


def _run(
    module: nn.Module, inputs: Mapping[str, Array], outputs: Sequence[str]
) -> dict[str, Array]:
    """What torch computes."""
    with torch.no_grad():
        computed: Any = module(*(torch.from_numpy(np.asarray(x)) for x in inputs.values()))
    values = (computed,) if isinstance(computed, Tensor) else computed
    return {key: value.numpy() for key, value in zip(outputs, values, strict=True)}


def _difference(role: str, wanted: Mapping[str, Array], found: Mapping[str, Array]) -> float:
    """The largest difference. Raises EngineError where it is too large."""
    worst = 0.0
    for key, value in wanted.items():
        error = float(np.abs(np.asarray(found[key]) - value).max())
        if not error < LARGEST_ERROR:
            raise EngineError(
                f"{role}: {key} differs by {error:.1e} between torch and ONNX Runtime,"
                f" more than {LARGEST_ERROR:.0e}; try another torch or onnxruntime version"
            )
        worst = max(worst, error)
    return worst


def _draft(model: FusionModel, name: str, made_by: str) -> Manifest:
    """The manifest before there are files to hash."""
    return Manifest(
        format=FORMAT,
        name=name,
        heads=model.outputs,
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
    own = {role: files[role] for role in ("fusion", "probe")}
    encoders = msgspec.structs.replace(draft.encoders, **{m: files[m] for m in draft.specs})
    heads = draft.heads | {name: files[name] for name in draft.captions}
    return msgspec.structs.replace(draft, encoders=encoders, heads=heads, **own)
