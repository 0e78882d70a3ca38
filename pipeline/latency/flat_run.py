"""Measures a replay that is as fast as it computes, with nothing between log and node."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from pipeline.child import Stop
from pipeline.config import Config
from pipeline.error import SensoriumError
from pipeline.latency.live_run import Outcome
from pipeline.latency.measurement import Measurement
from pipeline.latency.usage import Usage, costs, usages
from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from pipeline.replay.part import Choice, Part
from pipeline.replay.settings import is_recorded_bundle, replay_config
from pipeline.replay.virtual import VirtualReplay, WindowMode

# The other stages lie between the log's clock and this one: they say nothing.
COMPUTED = ("preprocess", "encode", "align", "fuse", "emit")


class FlatRun:
    """A log and a model that are ready; each `measure` replays from the beginning."""

    def __init__(
        self, file: Path, overrides: Sequence[str] = (), config_file: Path | None = None
    ) -> None:
        """Raises ConfigError, EngineError, LogError."""
        self._file = file
        with LogReader(file) as log:
            self.config: Config = replay_config(log, config_file, {}, overrides)
            self._same = is_recorded_bundle(log, self.config)
        fusion = self.config.fusion
        self.model = CompiledBundle(load_bundle(fusion.bundle), fusion.backend, fusion.options)

    def measure(self, seconds: float, warm_up_s: float, stop: Stop) -> Outcome:
        """So long after the warm-up, over and over; latency is reading, encoding and fusing.

        Raises LogError, ReplayError, and SensoriumError where nothing was predicted.
        """
        measured = Measurement(self.config, warm_up_s)
        began_ns = time.monotonic_ns()
        before: dict[str, Usage] = {}
        for prediction, took_ns in self._endlessly():
            measured.add_timed(prediction, took_ns)
            if measured.warmed_up and not before:
                before = usages({"replay": os.getpid()})
            if measured.length_s >= seconds or stop.is_set():
                break
        if not measured.warmed_up:
            raise SensoriumError("stopped before the warm-up was over")
        return Outcome(
            mode="flat",
            config=self.config,
            measured=measured,
            wall_s=measured.length_s,
            first_prediction_s=round((measured.begun_ns - began_ns) / 1e9, 3),
            processes=costs(before, usages({"replay": os.getpid()})),
        )

    def durations_ms(self) -> Iterator[float]:
        """How long each prediction took, over and over, without an end."""
        return (took_ns / 1e6 for _, took_ns in self._endlessly())

    def _endlessly(self) -> Iterator[tuple[Prediction, int]]:
        while True:
            is_empty = True
            for timed in self._predictions():
                is_empty = False
                yield timed
            if is_empty:
                raise SensoriumError(f"{self._file}: no tick of it can be replayed")

    def _predictions(self) -> Iterator[tuple[Prediction, int]]:
        """Those of the whole log, and how long each took."""
        mode: WindowMode | None = None if self._same else "aligned"
        with LogReader(self._file) as log:
            run = VirtualReplay(self.config, self.model, Part(log, Choice()), mode)
            before_ns = time.monotonic_ns()
            for step in run.run():
                yield step.prediction, time.monotonic_ns() - before_ns
                before_ns = time.monotonic_ns()
