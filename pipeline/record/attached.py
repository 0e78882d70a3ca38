"""`sensorium record`: a recorder beside a run that is going already, until Ctrl-C or its end."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from pipeline.child import Stop
from pipeline.config import Config, Incidents
from pipeline.error import ControlError
from pipeline.record.clock import read_clocks
from pipeline.record.name import SegmentNames
from pipeline.record.outcome import outcome
from pipeline.record.plan import chosen_forms, header_of
from pipeline.record.process import MAX_WAIT_MS, NICE
from pipeline.record.recorder import Recorder
from pipeline.run_directory import LOCK, is_claimed

LOOK_S = 1.0


def record(config: Config, file: Path, streams: Collection[str], stop: Stop) -> dict[str, Any]:
    """Record into a file what `streams`, or all that have a form, publish from now on.

    Incidents are the business of the run's own recorder. Returns what `--json` prints. Raises
    ConfigError, ControlError where nothing publishes, LogError.
    """
    record = replace(config.record, file=str(file))
    config = replace(config, record=record, incident=Incidents())
    forms, pair = chosen_forms(config, streams), read_clocks()
    if not _publishes(config):
        raise ControlError(f"{config.directory}: nothing runs here; `sensorium run` starts it")
    SegmentNames(record.file, pair.wall_ns).check_free("-o")
    recorder = Recorder(config, forms, header_of(config, pair, "recorded"))
    os.nice(NICE)
    look_s = time.monotonic() + LOOK_S
    while not (stop.is_set() or recorder.is_over):
        recorder.step(MAX_WAIT_MS)
        if time.monotonic() >= look_s:
            look_s += LOOK_S
            if not _publishes(config):
                break
    recorder.finish()
    return outcome(config, pair, recorder.counters(), recorder.error)


def _publishes(config: Config) -> bool:
    """Whether the run, or at least one process of it, is there."""
    endpoints = [config.predictions_endpoint, *map(config.endpoint, config.local_streams)]
    paths = [Path(e.removeprefix("ipc://")) for e in endpoints if e.startswith("ipc://")]
    locks = [config.directory / LOCK, *(path.with_suffix(".lock") for path in paths)]
    return any(map(is_claimed, locks))
