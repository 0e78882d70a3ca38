"""The windows of logs as embeddings, each with the name of what and when it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.compiled import CompiledBundle
from engines.index import Index
from pipeline.error import SensoriumError
from pipeline.label.store import labels_of
from pipeline.log.reader import LogReader
from pipeline.replay.part import Choice, Part
from pipeline.replay.settings import replay_config
from pipeline.replay.virtual import VirtualReplay
from pipeline.replay.windows import TruthTable


class Past:
    """Collects embeddings from logs, one in `every_ns` of a log at most."""

    def __init__(self, model: CompiledBundle, head: str, labels: str, every_ns: int) -> None:
        self._model, self._head, self._labels, self._every_ns = model, head, labels, every_ns
        self._names: list[str] = []
        self._rows: list[list[float]] = []

    def add(
        self, log: Path, config: Path | None, overrides: Sequence[str], *, name_log: bool
    ) -> None:
        """Replay a log through the model. Raises SensoriumError, EngineError."""
        truth = TruthTable(labels_of(log, self._labels))
        next_ns = 0
        with LogReader(log) as reader:
            part = Part(reader, Choice())
            settings = replay_config(reader, config, {}, [*overrides, "fusion.index="])
            for step in VirtualReplay(settings, self._model, part, "aligned").run():
                prediction = step.prediction
                if prediction.tick_ns < next_ns or not prediction.inputs:
                    continue
                next_ns = prediction.tick_ns + self._every_ns
                at_s = (prediction.tick_ns - part.log_start_ns) / 1e9
                where = log.stem if name_log else ""
                what = (where, *truth.at(prediction.tick_ns), f"{at_s:.1f}s")
                embedding = prediction.outputs[self._head]
                assert isinstance(embedding, list)
                self._names.append(" ".join(filter(None, what)))
                self._rows.append(embedding)

    def index(self) -> Index:
        """All that was collected. Raises SensoriumError if it is nothing."""
        if not self._rows:
            raise SensoriumError("the logs hold no window that the bundle could take")
        bundle = self._model.manifest.fusion.sha256
        return Index(self._head, bundle, self._names, np.array(self._rows, np.float32))
