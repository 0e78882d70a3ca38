"""The fusion node: samples in, a prediction at each tick out.

`accept` and `tick` touch no socket, file or clock: the stopwatch and the executor are passed in,
and neither changes a prediction's canonical form. Live, replay and test run the same code.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.bundle import AudioSpec, EncoderSpec, Manifest
from engines.compiled import CompiledBundle
from engines.slots import Slots
from pipeline.aligner import Aligner, Window
from pipeline.config import MODALITY, Config, Microphone, kind_of
from pipeline.error import ConfigError, OverwrittenError
from pipeline.frontend import FrontEnd, check_sample, front_end, window_rule
from pipeline.prediction import SITUATION, Prediction
from pipeline.sample import Sample


class Inline(Executor):
    """Runs each call at once, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except OverwrittenError as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True, slots=True)
class _Token:
    """An encoded window, and when each step towards it was done."""

    tokens: npt.NDArray[np.float32]
    started_ns: int
    prepared_ns: int
    encoded_ns: int


@dataclass(slots=True)
class _Input:
    """One stream that the node fuses: how it is encoded, and its tokens by sequence number."""

    modality: str
    spec: EncoderSpec
    front_end: FrontEnd
    eager: bool
    tokens: dict[int, Future[_Token]] = field(default_factory=dict)
    accepted_ns: dict[int, int] = field(default_factory=dict)

    def forget(self, before_seq: int) -> None:
        """Drop what no later prediction can use; an encoding that has not begun never does."""
        while self.accepted_ns and (seq := next(iter(self.accepted_ns))) < before_seq:
            del self.accepted_ns[seq]
        while self.tokens and (seq := next(iter(self.tokens))) < before_seq:
            self.tokens.pop(seq).cancel()


class FusionNode:
    """Encodes what arrives and fuses what is alive.

    Windows of `queue` streams, and of the clock, are encoded as their newest sample arrives; of
    other `latest` streams the newest frame is encoded at the tick, once.
    """

    def __init__(
        self,
        config: Config,
        model: CompiledBundle,
        *,
        stopwatch: Callable[[], int] = time.monotonic_ns,
        executor: Executor | None = None,
    ) -> None:
        self._model, self._stopwatch = model, stopwatch
        self._executor = executor or Inline()
        self._backend = {"requested": config.fusion.backend, "active": model.fusion.backend}
        self._stream = f"prediction/{config.name}"
        chosen = choose_inputs(config, model.manifest)
        self._slots = Slots(model.manifest, chosen)
        self._inputs = {
            stream: _input(config, stream, model.manifest.specs[modality])
            for modality, streams in chosen.items()
            for stream in streams
        }
        rules = {s: window_rule(i.spec, config.streams[s]) for s, i in self._inputs.items()}
        self._aligner = Aligner(rules)
        self._n_predictions = 0
        self._overwritten: list[str] = []

    @property
    def streams(self) -> list[str]:
        """The streams that are fused."""
        return list(self._inputs)

    def accept(self, sample: Sample, now_ns: int) -> None:
        """Take in a sample that arrived at `now_ns`. Raises RefusedError if it cannot be used."""
        source = self._inputs.get(sample.stream)
        if source is None:
            return  # a stream that is published but not fused
        check_sample(sample, source.spec)
        if self._aligner.add(sample):
            source.tokens.clear()
            source.accepted_ns.clear()
        source.accepted_ns[sample.seq] = now_ns
        source.forget(self._aligner.oldest_seq(sample.stream))
        if source.eager:
            window = self._aligner.window(sample.stream, sample.t_publish_ns)
            if window is not None:
                self._encode(source, window)

    def tick(self, now_ns: int) -> Prediction:
        """The prediction of this moment, from whatever is alive."""
        newest = {stream: self._newest(stream, now_ns) for stream in self._inputs}
        alive = {stream: found[0] for stream, found in newest.items() if found}
        tokens = {stream: found[1] for stream, found in newest.items() if found}
        ages_ns = {stream: now_ns - window[-1].t_end_ns for stream, window in alive.items()}
        self._slots.clear()
        for stream, token in tokens.items():
            self._slots.put(stream, token.tokens, ages_ns[stream] / 1e9)
        fuse_ns = self._stopwatch()
        outputs = self._model.fusion.run(self._slots.feeds())
        fused_ns = self._stopwatch()
        scores = map(float, outputs["scores"][0])
        self._n_predictions += 1
        fields: dict[str, Any] = {
            "outputs": {SITUATION: dict(zip(self._model.manifest.labels, scores, strict=True))},
            "inputs": {s: [(x.seq, x.t_capture_ns) for x in w] for s, w in alive.items()},
            "ages_ns": ages_ns,
            "missing": [stream for stream in self._inputs if stream not in alive],
            "weights": {s: self._slots.share(s, outputs["attention"]) for s in alive},
        }
        emit_ns = self._stopwatch()
        after = (fuse_ns, fused_ns, emit_ns)
        prediction = Prediction(
            stream=self._stream,
            seq=self._n_predictions - 1,
            t_capture_ns=now_ns,
            t_publish_ns=emit_ns,
            backend=self._backend,
            stages_ns={s: self._stages(s, w, tokens[s], after) for s, w in alive.items()},
            t_emit_ns=emit_ns,
            **fields,
        )
        for stream, window in alive.items():
            self._inputs[stream].forget(window[-1].seq)
        return prediction

    def take_overwritten(self) -> list[str]:
        """The streams of frames that were overwritten before they were encoded; each once."""
        taken, self._overwritten = self._overwritten, []
        return taken

    def _newest(self, stream: str, now_ns: int) -> tuple[Window, _Token] | None:
        """The newest window that could be encoded, and its token."""
        while (window := self._aligner.window(stream, now_ns)) is not None:
            try:
                return window, self._encode(self._inputs[stream], window).result()
            except OverwrittenError:
                self._aligner.discard(window[-1])
                self._overwritten.append(stream)
        return None

    def _encode(self, source: _Input, window: Window) -> Future[_Token]:
        """The token of a window, encoded once."""
        seq = window[-1].seq
        if seq not in source.tokens:
            run = self._executor.submit if source.eager else Inline().submit
            source.tokens[seq] = run(self._run_encoder, source, window)
        return source.tokens[seq]

    def _run_encoder(self, source: _Input, window: Window) -> _Token:
        started_ns = self._stopwatch()
        prepared = source.front_end(window)
        prepared_ns = self._stopwatch()
        tokens = self._model.encode(source.modality, prepared)
        return _Token(tokens, started_ns, prepared_ns, self._stopwatch())

    def _stages(
        self, stream: str, window: Window, token: _Token, after: tuple[int, int, int]
    ) -> tuple[int, ...]:
        """The durations of prediction.STAGES, from the capture of the newest sample to emit."""
        newest = window[-1]
        accepted_ns = self._inputs[stream].accepted_ns[newest.seq]
        marks = (
            newest.t_end_ns,
            newest.t_publish_ns,
            accepted_ns,
            token.started_ns,
            token.prepared_ns,
            token.encoded_ns,
            *after,
        )
        return tuple(end - start for start, end in itertools.pairwise(marks))


def _input(config: Config, stream: str, spec: EncoderSpec) -> _Input:
    # The clock's tick follows its sample at once, so it is encoded there, on the same thread.
    eager = config.streams[stream].policy == "queue"
    return _Input(MODALITY[kind_of(stream)], spec, front_end(spec), eager)


def choose_inputs(config: Config, manifest: Manifest) -> dict[str, list[str]]:
    """{modality: streams} to fuse: those configured, else all up to the bundle's maximum.

    Raises ConfigError where the bundle cannot take them.
    """
    chosen: dict[str, list[str]] = {}
    for modality in config.fusion.inputs:
        if modality not in manifest.specs:
            raise ConfigError(f"fusion.inputs.{modality}: bundle {manifest.name} has no {modality}")
    for modality, spec in manifest.specs.items():
        of_kind = [s for s in config.streams if MODALITY[kind_of(s)] == modality]
        streams = config.fusion.inputs.get(modality, of_kind[: spec.max_streams])
        if len(streams) > spec.max_streams:
            raise ConfigError(
                f"fusion.inputs.{modality}: {len(streams)} streams;"
                f" bundle {manifest.name} takes {spec.max_streams}"
            )
        for stream in streams:
            _check_rate(config, stream, spec)
        chosen[modality] = streams
    return chosen


def _check_rate(config: Config, stream: str, spec: EncoderSpec) -> None:
    line = config.streams[stream]
    if not isinstance(line, Microphone) or not isinstance(spec, AudioSpec):
        return
    if line.sample_rate_hz != spec.rate_hz:
        key = f"{stream.replace('/', '.')}.sample_rate_hz"
        raise ConfigError(f"{key}: {line.sample_rate_hz}; the bundle takes {spec.rate_hz}")
