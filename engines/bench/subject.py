"""What is measured: an ONNX file, its input, and how torch runs the same where torch is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines.bench.contender import Call, Feeds
from engines.bundle import Bundle, ImageSpec
from engines.error import BundleError, EngineError
from engines.variant import graph_roles

WIDTH = 64
LARGE_PX = 224  # what the image encoders of the literature see


@dataclass(frozen=True, slots=True)
class Subject:
    """A graph; `calls` are those of torch."""

    name: str
    path: Path
    feeds: Feeds
    calls: Mapping[str, Call] = field(default_factory=dict)


def of_bundle(bundle: Bundle) -> list[Subject]:
    """Every graph of a bundle, with its stored inputs. Raises BundleError."""
    try:
        with np.load(bundle.path("probe"), allow_pickle=False) as stored:
            arrays = dict(stored)
    except (OSError, ValueError) as error:
        raise BundleError(f"{bundle.path('probe')}: cannot be read: {error}") from error
    found = []
    for role in graph_roles(bundle.manifest):
        if role in bundle.manifest.specs:
            feeds = {role: arrays[role]}
        else:
            feeds = {k.split(".", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{role}.")}
        found.append(Subject(role, bundle.path(role), feeds))
    return found


def known_encoders() -> list[str]:
    """As "image/resnet50": those that can be made from nothing. Raises EngineError."""
    _need_torch()
    from engines.encoder.entry import ENCODERS, FROM_FOLDER

    return [
        f"{modality}/{name}"
        for modality, classes in ENCODERS.items()
        for name, made in classes.items()
        if made not in FROM_FOLDER
    ]


def of_encoders(
    names: Sequence[str], folder: Path, size_px: int, compiled: bool
) -> Iterator[Subject]:
    """Encoders with random weights, exported into `folder`; torch runs with one thread.

    `compiled` adds torch.compile, which takes a minute for a large one. Raises EngineError.
    """
    known = known_encoders()
    for name in names:
        if name not in known:
            raise EngineError(f"encoder {name!r}: choose of {', '.join(known)}")
        yield _exported(name, folder, size_px, compiled)


def _exported(name: str, folder: Path, size_px: int, compiled: bool) -> Subject:
    import msgspec
    import torch

    from engines.encoder.entry import make_encoder, tokens_of
    from engines.example import HOME
    from engines.export import write_graph
    from engines.noise import noise_input

    modality, kind = name.split("/")
    spec = msgspec.structs.replace(getattr(HOME, modality), tokens=tokens_of(modality, kind))
    if isinstance(spec, ImageSpec):
        spec = msgspec.structs.replace(spec, height_px=size_px, width_px=size_px)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    encoder = make_encoder(modality, kind, spec, WIDTH).eval()
    feeds = {modality: noise_input(spec, np.random.default_rng(0))}
    path = folder / f"{modality}-{kind}.onnx"
    write_graph(encoder, feeds, ("tokens",), path)
    return Subject(name, path, feeds, _torch_calls(encoder, feeds, compiled))


def _torch_calls(encoder: Any, feeds: Feeds, compiled: bool) -> dict[str, Call]:
    import torch

    inputs = [torch.from_numpy(value) for value in feeds.values()]

    def run_of(module: Any) -> Call:
        def run() -> Any:
            with torch.inference_mode():
                return module(*inputs).numpy()

        return run

    return {"torch eager": run_of(encoder)} | (
        {"torch.compile": run_of(torch.compile(encoder))} if compiled else {}
    )


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise EngineError("the encoders are made by torch: pip install 'sensorium[train]'")
