"""The fusion node: samples in, a prediction at each tick out.

`accept` and `tick` touch no socket, file or clock: the stopwatch and the executor are passed in,
and neither changes a prediction's canonical form. Live, replay and test run the same code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

import numpy.typing as npt

from engines.compiled import CompiledBundle
from engines.slots import Slots
from pipeline.aligner import Aligner, Window, Windows
from pipeline.answer import Answers
from pipeline.config import Config
from pipeline.encoding import Inline, Input, Token
from pipeline.error import OverwrittenError
from pipeline.fault import Faults
from pipeline.frontend import check_sample, front_end
from pipeline.governor.reuse import Reuse
from pipeline.inputs import choose_inputs, window_rules
from pipeline.latency.stages import TickTimes, stages_ns
from pipeline.prediction import Prediction
from pipeline.sample import Health, Sample, Tokens, tokens_stream
from pipeline.stream import MODALITY, kind_of


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
        windows: Windows | None = None,
    ) -> None:
        """`windows` cuts them in place of an Aligner. Raises ConfigError, EngineError."""
        self._model, self._stopwatch = model, stopwatch
        self._executor = executor or Inline()
        self._backend = {"requested": config.fusion.backend, "active": model.fusion.backend}
        self._stream = f"prediction/{config.name}"
        chosen = choose_inputs(config, model.manifest)
        self._slots = Slots(model.manifest, chosen)
        self._inputs = {
            stream: _input(config, stream, model)
            for streams in chosen.values()
            for stream in streams
        }
        self._windows = windows or Aligner(window_rules(config, model.manifest))
        self._answers = Answers(model, config.fusion.index)
        self.faults = Faults(config)
        self._n_predictions = 0
        self._overwritten: list[str] = []
        self.reuse = Reuse({s: int(config.streams[s].max_age_ms * 1e6) for s in self._inputs})
        self._kept = {s: -1 for s in self._inputs if config.streams[s].record == "tokens"}
        self._tokens: list[Tokens] = []

    def use(self, model: CompiledBundle) -> None:
        """Go on with other engines of the same bundle, from the next tick on; the old are closed.

        A token that is there stays: the engines passed the same gate.
        """
        old, self._model = self._model, model
        self._answers.use(model)
        self._backend = {**self._backend, "active": model.fusion.backend}
        self._backend.pop("why", None)
        self._executor.submit(old.close)  # after what the worker has begun with them

    def explain(self, why: str) -> None:
        """Say in each prediction from now on why another backend than the requested one runs."""
        if self._backend.get("why") != why:
            self._backend = {**self._backend, "why": why}

    @property
    def streams(self) -> list[str]:
        """The streams that are fused."""
        return list(self._inputs)

    def accept(self, sample: Sample, now_ns: int) -> None:
        """Take in a sample that arrived at `now_ns`. Raises RefusedError if it cannot be used.

        The health of a sensor says whether its stream is to be masked.
        """
        if isinstance(sample, Health):
            self.faults.hear(sample, now_ns)
            return
        source = self._inputs.get(sample.stream)
        if source is None:
            return  # a stream that is published but not fused
        check_sample(sample, source.spec)
        self._windows.add(sample)
        source.take(sample, now_ns)
        source.forget(self._windows.oldest(sample.stream))
        if source.eager and self.reuse.may_encode(sample.stream):
            window = self._windows.window(sample.stream, sample.t_publish_ns)
            if window is not None:
                self._encode(source, window)

    def tick(self, now_ns: int) -> Prediction:
        """The prediction of this moment, from whatever is alive."""
        began_ns = self._stopwatch()
        masked = self.faults.masked(now_ns)
        self.reuse.begin_tick()
        windows = {s: self._window(s, now_ns) for s in self._inputs if s not in masked}
        aligned_ns = self._stopwatch()
        newest = {s: self._newest(s, window, now_ns) for s, window in windows.items()}
        alive = {stream: found[0] for stream, found in newest.items() if found}
        tokens = {stream: found[1] for stream, found in newest.items() if found}
        ages_ns = {stream: now_ns - window[-1].t_end_ns for stream, window in alive.items()}
        self._slots.clear()
        for stream, token in tokens.items():
            self._slots.put(stream, token.tokens, ages_ns[stream] / 1e9)
        fuse_ns = self._stopwatch()
        outputs = self._model.fusion.run(self._slots.feeds())
        fused_ns = self._stopwatch()
        contents = self._contents(alive, outputs, now_ns)
        self._n_predictions += 1
        emit_ns = self._stopwatch()
        times = TickTimes(
            began_ns=began_ns,
            aligned_ns=aligned_ns,
            fuse_ns=fuse_ns,
            fused_ns=fused_ns,
            emit_ns=emit_ns,
        )
        prediction = Prediction(
            stream=self._stream,
            seq=self._n_predictions - 1,
            t_capture_ns=now_ns,
            t_publish_ns=emit_ns,
            ages_ns=ages_ns,
            backend=self._backend,
            stages_ns={s: self._stages(s, w[-1], tokens[s], times) for s, w in alive.items()},
            t_emit_ns=emit_ns,
            faults=self.faults.found(now_ns),
            encode_every=self.reuse.every,
            **contents,
        )
        for stream, window in alive.items():
            if self.reuse.keep(stream, window):
                self._inputs[stream].keep(window[-1])
            self._inputs[stream].forget(window[-1])
            self._keep(stream, window[-1], tokens[stream])
        return prediction

    def _contents(
        self, alive: Mapping[str, Window], outputs: Mapping[str, npt.NDArray[Any]], tick_ns: int
    ) -> dict[str, Any]:
        return {
            "outputs": self._answers.read(outputs, tick_ns),
            "main": self._model.manifest.main,
            "inputs": {s: [(x.seq, x.t_capture_ns) for x in w] for s, w in alive.items()},
            "missing": [stream for stream in self._inputs if stream not in alive],
            "weights": {s: self._slots.share(s, outputs["attention"]) for s in alive},
        }

    def work(self) -> None:
        """What takes longer than a tick should: a live node does it once a prediction is out."""
        self._answers.work()

    def captions(self) -> dict[str, str]:
        """What the heads that caption say, to its end; for who has no next tick."""
        return self._answers.captions()

    def take_tokens(self) -> list[Tokens]:
        """The tokens that were used first since the last call, of streams recorded as tokens."""
        taken, self._tokens = self._tokens, []
        return taken

    def take_overwritten(self) -> list[str]:
        """The streams of frames that were overwritten before they were encoded; each once."""
        taken, self._overwritten = self._overwritten, []
        return taken

    def _keep(self, stream: str, newest: Sample, token: Token) -> None:
        if self._kept.get(stream, newest.t_publish_ns) == newest.t_publish_ns:
            return
        self._kept[stream] = newest.t_publish_ns
        self._tokens.append(
            Tokens(
                stream=tokens_stream(stream),
                seq=newest.seq,
                t_capture_ns=newest.t_capture_ns,
                t_publish_ns=newest.t_publish_ns,
                of=stream,
                values=token.tokens[0],
            )
        )

    def _window(self, stream: str, now_ns: int) -> Window | None:
        """The newest window, or that which was used last while encoding another has to wait."""
        window = self._windows.window(stream, now_ns)
        if window is not None:
            self.reuse.want(stream, window[-1].seq)
        last = self.reuse.last(stream, now_ns)
        if window is None or last is None or self._inputs[stream].is_encoded(window[-1]):
            return window
        return last

    def _newest(
        self, stream: str, window: Window | None, now_ns: int
    ) -> tuple[Window, Token] | None:
        """The newest window that could be encoded, from `window` on, and its token."""
        while window is not None:
            try:
                return window, self._encode(self._inputs[stream], window).result()
            except OverwrittenError:
                self._windows.discard(window[-1])
                self._overwritten.append(stream)
                window = self._windows.window(stream, now_ns)
        return None

    def _encode(self, source: Input, window: Window) -> Future[Token]:
        """The token of a window, encoded once."""
        taken = source.take(window[-1], window[-1].t_publish_ns)
        if taken.token is None:
            self.reuse.encoded(window[-1].stream)
            run = self._executor.submit if source.eager else Inline().submit
            taken.token = run(self._run_encoder, source, window)
        return taken.token

    def _run_encoder(self, source: Input, window: Window) -> Token:
        started_ns = self._stopwatch()
        newest = window[-1]
        if isinstance(newest, Tokens):  # it was encoded when it was recorded
            return Token(newest.values[None], started_ns, started_ns, started_ns)
        prepared = source.front_end(window)
        prepared_ns = self._stopwatch()
        tokens = self._model.encode(source.modality, prepared)
        return Token(tokens, started_ns, prepared_ns, self._stopwatch())

    def _stages(
        self, stream: str, newest: Sample, token: Token, times: TickTimes
    ) -> tuple[int, ...]:
        taken = self._inputs[stream].take(newest, newest.t_publish_ns)
        return stages_ns(newest, taken.accepted_ns, token, times)


def _input(config: Config, stream: str, model: CompiledBundle) -> Input:
    modality = MODALITY[kind_of(stream)]
    spec = model.manifest.specs[modality]
    # The clock's tick follows its sample at once, so it is encoded there, on the same thread.
    eager = config.streams[stream].policy == "queue"
    return Input(modality, spec, front_end(spec, model.folder), eager)
