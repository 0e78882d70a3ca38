"""A bundle's graphs, loaded on a backend and proven to compute what the bundle says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.backend import open_engine
from engines.bundle import AudioSpec, Bundle, EncoderSpec, ImageSpec, ReadingsSpec, TextSpec
from engines.caption import Speaker
from engines.engine import Engine, TensorSpec
from engines.error import BundleError, EngineError
from engines.gate import check_outputs
from engines.options import DEFAULT, EngineOptions
from engines.output import CaptionOutput
from engines.variant import graph_path, graph_roles


class CompiledBundle:
    """Every graph of a bundle, ready to run: loaded, checked and warmed up.

    Raises BundleError where a graph is not what the manifest says, EngineError where a backend
    cannot load it or computes other outputs than the reference.
    """

    def __init__(self, bundle: Bundle, backend: str, options: EngineOptions = DEFAULT) -> None:
        self.manifest, self.folder = bundle.manifest, bundle.folder
        manifest = bundle.manifest
        self.engines: dict[str, Engine] = {}
        try:
            for role in graph_roles(manifest):
                path = graph_path(bundle, role, backend, options.precision)
                self.engines[role] = open_engine(path, backend, options)
            self.encoders = {name: self.engines[name] for name in manifest.specs}
            self.decoders = {name: self.engines[name] for name in manifest.captions}
            self.fusion = self.engines["fusion"]
            for name, spec in manifest.specs.items():
                _check_encoder(bundle, name, spec, self.encoders[name])
            _check_fusion(bundle, self.fusion)
            for name, head in manifest.captions.items():
                _check_decoder(bundle, name, head, self.decoders[name])
            check_outputs(bundle, self.engines, options.precision)
        except EngineError:
            self.close()
            raise

    def encode(self, modality: str, prepared: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The tokens (1, tokens, width) of one prepared input."""
        return self.encoders[modality].run({modality: prepared})["tokens"]

    def speaker(self, head: str) -> Speaker:
        """A speaker of its own for a head that captions."""
        return Speaker(self.decoders[head], self.manifest.captions[head])

    def close(self) -> None:
        """Release every engine."""
        for engine in self.engines.values():
            engine.close()


def input_spec(spec: EncoderSpec) -> TensorSpec:
    """What the graph of an encoder takes."""
    match spec:
        case ImageSpec():
            return TensorSpec(np.dtype(np.uint8), (1, spec.height_px, spec.width_px, 3))
        case AudioSpec(computed="graph"):
            return TensorSpec(np.dtype(np.float32), (1, 1, 1, spec.samples))
        case AudioSpec():
            return TensorSpec(np.dtype(np.float32), (1, 1, spec.frames, spec.bands))
        case TextSpec():
            return TensorSpec(np.dtype(np.int32), (1, spec.length))
        case ReadingsSpec():
            return TensorSpec(np.dtype(np.float32), (1, spec.window, len(spec.names)))
    raise TypeError(type(spec).__name__)


def _check_encoder(bundle: Bundle, name: str, spec: EncoderSpec, engine: Engine) -> None:
    tokens = TensorSpec(np.dtype(np.float32), (1, spec.tokens, bundle.manifest.width))
    _check(bundle, name, engine.inputs, {name: input_spec(spec)})
    _check(bundle, name, engine.outputs, {"tokens": tokens})


def _check_fusion(bundle: Bundle, engine: Engine) -> None:
    n, real = bundle.manifest.n_slots, np.dtype(np.float32)
    inputs = {
        "tokens": TensorSpec(real, (1, n, bundle.manifest.width)),
        "modality": TensorSpec(np.dtype(np.int32), (1, n)),
        "age": TensorSpec(real, (1, n)),
        "present": TensorSpec(real, (1, n)),
    }
    heads = bundle.manifest.heads.items()
    outputs = {name: TensorSpec(real, (1, head.width)) for name, head in heads}
    _check(bundle, "fusion", engine.inputs, inputs)
    _check(bundle, "fusion", engine.outputs, outputs | {"attention": TensorSpec(real, (1, n))})


def _check_decoder(bundle: Bundle, name: str, head: CaptionOutput, engine: Engine) -> None:
    real, length = np.dtype(np.float32), head.length
    memory, words = (1, head.width), TensorSpec(np.dtype(np.int32), (1, length))
    _check(bundle, name, engine.inputs, {"memory": TensorSpec(real, memory), "words": words})
    logits = TensorSpec(real, (1, length, len(head.vocabulary) + 1))
    _check(bundle, name, engine.outputs, {"logits": logits})


def _check(
    bundle: Bundle, role: str, found: Mapping[str, TensorSpec], said: Mapping[str, TensorSpec]
) -> None:
    if found != said:
        raise BundleError(
            f"{bundle.path(role)}: the graph has {_text(found)}, bundle.json says {_text(said)}"
        )


def _text(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} {spec.dtype} {spec.shape}" for name, spec in sorted(specs.items()))
