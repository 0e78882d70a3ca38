"""A real run, recorded without loss: live, replay and training give encoders the same inputs."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engines.bundle import load_bundle
from engines.compiled import CompiledBundle
from pipeline.learning.cache import fetch
from pipeline.learning.piece import task_of
from pipeline.learning.source import Wanted, sources_of
from pipeline.learning.window_folder import Windows
from pipeline.log.reader import LogReader
from pipeline.replay.part import Choice, Part
from pipeline.replay.virtual import VirtualReplay
from tests.system.recorded import RECORDED, complete
from tests.system.run import Run, sensorium

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
TICKS = 40


class Listening(CompiledBundle):
    """A bundle that remembers what its encoders were given, and what they made of it."""

    def __init__(self) -> None:
        super().__init__(load_bundle("home"), "onnxruntime")
        self.given: dict[str, list[str]] = defaultdict(list)

    def encode(self, modality: str, prepared: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        self.given[modality].append(digest(prepared))
        return super().encode(modality, prepared)


def digest(array: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def record(folder: Path) -> Path:
    """A log of a run in which every stream was there, with the truth of the home beside it."""
    path = folder / "run.mcap"
    with Run(folder, RECORDED, "--record", str(path)) as run:
        run.until(complete)
        for _ in range(TICKS):
            run.next()
        run.stop()
    done = sensorium(folder, "label", "set", str(path), "--truth")
    assert done.returncode == 0, done.stderr
    return path


def test_live_replay_and_training_hash_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = record(tmp_path)
    # The replay takes the windows that the live predictions name: its answers are theirs, so its
    # inputs were theirs.
    done = sensorium(tmp_path, "replay", str(path), "--json")
    assert done.returncode == 0, done.stderr
    replayed = json.loads(done.stdout.splitlines()[-1])
    found = replayed["differences"]
    assert (found["inputs"], found["scores"]) == (0, 0), found
    assert found["compared"] > TICKS
    replay = Listening()
    with LogReader(path) as log:
        config = log.config
        assert config is not None
        steps = list(VirtualReplay(config, replay, Part(log, Choice()), "recorded").run())
    for step in steps:
        assert step.recorded is not None
        assert step.prediction.outputs == step.recorded.outputs
    wanted = Wanted(encoders=replay.manifest.encoders, labels=(), mode="recorded")
    sources, notes = sources_of([path], config, wanted)
    assert not notes
    windows = Windows(folder for found in fetch([task_of(sources[0])]) for folder in found)
    assert len(windows) >= TICKS // 2
    for modality, given in replay.given.items():
        trained = [digest(w.inputs[modality]) for w in windows if modality in w.inputs]
        assert set(trained) <= set(given), modality
        assert len(set(trained)) >= 2, modality
