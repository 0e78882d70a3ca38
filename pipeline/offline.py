"""A bundle in Python, without a run, in three lines. Any stream may be left out of the samples.

model = open_model("home")
prediction = model.predict({"camera/a": [frame], "text/a": [event]})
print(prediction.top, prediction.outputs)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import msgspec
from msgspec.structs import replace

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from engines.error import EngineError
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.node import FusionNode
from pipeline.prediction import Prediction
from pipeline.sample import AudioChunk, Sample
from pipeline.stream import MODALITY, kind_of

NAME = "offline"
NO_AGE_LIMIT_MS = 1e12  # who gives a sample wants it used


def open_model(bundle: str, backend: str = "onnxruntime", *, index: str = "") -> OfflineModel:
    """Open a shipped bundle, or the folder of one; `index` is for a head that retrieves.

    Raises BundleError, EngineError.
    """
    return OfflineModel(CompiledBundle(load_bundle(bundle), backend), backend, index)


class OfflineModel:
    """Predicts from one window of samples at a time; nothing is kept from window to window."""

    def __init__(self, model: CompiledBundle, backend: str, index: str) -> None:
        self._model, self._fusion = model, {"backend": backend, "index": index}

    def __enter__(self) -> OfflineModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def predict(
        self, samples: Mapping[str, Sequence[Sample]], tick_ns: int | None = None
    ) -> Prediction:
        """What the live node would say at `tick_ns`, or at the end of the newest sample.

        `samples` {"camera/NAME" | "microphone/NAME" | "text/NAME" | "readings/NAME": oldest first}.
        However old a sample is, it is used, and its age counts. Captions are said to their end.
        Raises ConfigError for a stream that the bundle does not take, RefusedError for a sample.
        """
        given = {stream: found for stream, found in samples.items() if found}
        merged = sorted((s for own in given.values() for s in own), key=lambda s: s.t_publish_ns)
        newest_ns = max((max(s.t_end_ns, s.t_publish_ns) for s in merged), default=0)
        now_ns = newest_ns if tick_ns is None else tick_ns
        # Nothing is measured: the samples' clock may be another one.
        node = FusionNode(self._config(given), self._model, stopwatch=lambda: now_ns)
        for sample in merged:
            node.accept(sample, sample.t_publish_ns)
        prediction = node.tick(now_ns)
        captions: Mapping[str, Any] = node.captions()
        return replace(prediction, outputs={**prediction.outputs, **captions})

    def predict_all(self, windows: Iterable[Mapping[str, Sequence[Sample]]]) -> list[Prediction]:
        """The prediction of each window."""
        return [self.predict(samples) for samples in windows]

    def close(self) -> None:
        """Release the engines."""
        self._model.close()

    def _config(self, samples: Mapping[str, Sequence[Sample]]) -> Config:
        table: dict[str, Any] = {"name": NAME, "fusion": dict(self._fusion)}
        for stream, found in samples.items():
            kind, _, name = stream.partition("/")
            if kind not in MODALITY or any(sample.stream != stream for sample in found):
                kinds = ", ".join(f"{kind}/NAME" for kind in MODALITY)
                raise ConfigError(f"stream {stream!r}: name it and its samples as {kinds}")
            if MODALITY[kind_of(stream)] not in self._model.manifest.specs:
                raise EngineError(f"{stream}: bundle {self._model.manifest.name} takes no {kind}")
            line = {"source": "external", "max_age_ms": NO_AGE_LIMIT_MS}
            if isinstance(found[0], AudioChunk):
                line["sample_rate_hz"] = found[0].rate_hz
            table.setdefault(kind, {})[name] = line
        try:
            return msgspec.convert(table, Config)
        except msgspec.ValidationError as error:
            raise ConfigError(f"streams {', '.join(samples)}: {error}") from error
