"""A bundle's graphs, loaded on a backend and proven to compute what the bundle says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.backend import open_engine
from engines.bundle import AudioSpec, Bundle, EncoderSpec, ImageSpec, ReadingsSpec, TextSpec
from engines.engine import Engine, TensorSpec
from engines.error import BundleError, EngineError

# A backend that differs more from the stored reference outputs computes something else.
MAX_PROBE_ERROR = 1e-3


class CompiledBundle:
    """Every encoder and the fusion of a bundle, ready to run: loaded, checked and warmed up.

    Raises BundleError where a graph is not what the manifest says, EngineError where a backend
    cannot load it or computes other outputs than the reference.
    """

    def __init__(self, bundle: Bundle, backend: str) -> None:
        self.manifest = bundle.manifest
        self.encoders = {
            name: open_engine(bundle.path(name), backend) for name in bundle.manifest.specs
        }
        self.fusion = open_engine(bundle.path("fusion"), backend)
        for name, spec in bundle.manifest.specs.items():
            _check_encoder(bundle, name, spec, self.encoders[name])
        _check_fusion(bundle, self.fusion)
        _probe(bundle, {**self.encoders, "fusion": self.fusion})

    def encode(self, modality: str, prepared: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The tokens (1, tokens, width) of one prepared input."""
        return self.encoders[modality].run({modality: prepared})["tokens"]

    def close(self) -> None:
        """Release every engine."""
        for engine in (*self.encoders.values(), self.fusion):
            engine.close()


def input_spec(spec: EncoderSpec) -> TensorSpec:
    """What the graph of an encoder takes."""
    match spec:
        case ImageSpec():
            return TensorSpec(np.dtype(np.uint8), (1, spec.height_px, spec.width_px, 3))
        case AudioSpec():
            return TensorSpec(np.dtype(np.float32), (1, 1, spec.frames, spec.mels))
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
    scores = TensorSpec(real, (1, len(bundle.manifest.labels)))
    _check(bundle, "fusion", engine.inputs, inputs)
    _check(
        bundle,
        "fusion",
        engine.outputs,
        {"scores": scores, "attention": TensorSpec(real, (1, n))},
    )


def _check(
    bundle: Bundle, role: str, found: Mapping[str, TensorSpec], said: Mapping[str, TensorSpec]
) -> None:
    if found != said:
        raise BundleError(
            f"{bundle.path(role)}: the graph has {_text(found)}, bundle.json says {_text(said)}"
        )


def _text(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} {spec.dtype} {spec.shape}" for name, spec in sorted(specs.items()))


def _probe(bundle: Bundle, engines: Mapping[str, Engine]) -> None:
    """Run each graph on its stored input; this warms it up, too."""
    try:
        with np.load(bundle.path("probe"), allow_pickle=False) as stored:
            arrays = dict(stored)
    except (OSError, ValueError) as error:
        raise BundleError(f"{bundle.path('probe')}: cannot be read: {error}") from error
    for role, engine in engines.items():
        prefix = "fusion." if role == "fusion" else ""
        wanted = [f"{role}.{name}" for name in engine.outputs]
        missing = {prefix + name for name in engine.inputs}.union(wanted) - arrays.keys()
        if missing:
            raise BundleError(f"{bundle.path('probe')}: lacks {', '.join(sorted(missing))}")
        outputs = engine.run({name: arrays[prefix + name] for name in engine.inputs})
        for name, output in outputs.items():
            worst = float(np.abs(output - arrays[f"{role}.{name}"]).max())
            if not worst <= MAX_PROBE_ERROR:
                raise EngineError(
                    f"{bundle.path(role)}: on {engine.backend}, {name} is off by {worst:.2g} from"
                    f" the bundle's reference; {MAX_PROBE_ERROR:g} is allowed"
                )
