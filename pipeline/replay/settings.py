"""The configuration of a replay: the recorded one, or a file, with what the user overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engines.bundle import find_bundle, sha256
from pipeline.config import Config
from pipeline.loader import amend, load
from pipeline.log.reader import LogReader
from pipeline.replay.part import ReplayError
from pipeline.stream import kind_of


def replay_config(
    log: LogReader, path: Path | None, names: Mapping[str, str], overrides: Sequence[str]
) -> Config:
    """The configuration to replay with. Raises ConfigError, LogError, ReplayError."""
    if path is not None:
        return load(path, overrides)
    config = log.config
    if config is None:
        raise ReplayError("the log holds no configuration: name one with --config FILE")
    for old, new in names.items():
        if old in config.streams:
            config = _renamed(config, old, new)
    return amend(config, overrides, "the log's configuration") if overrides else config


def _renamed(config: Config, old: str, new: str) -> Config:
    """The configuration in which a stream has another name of its kind."""
    kind, name = kind_of(old), new.partition("/")[2]
    if kind_of(new) != kind or not name or new in config.streams:
        raise ReplayError(f"--remap {old}={new}: write it as {old}={kind}/NAME, a name not in use")
    table: dict[str, Any] = msgspec.to_builtins(config)
    # The order of streams decides which a bundle takes: the new name stands in the old one's place.
    table[kind] = {name if f"{kind}/{n}" == old else n: line for n, line in table[kind].items()}
    fusion = table["fusion"]
    fusion["clock"] = new if fusion["clock"] == old else fusion["clock"]
    fusion["inputs"] = {
        modality: [new if stream == old else stream for stream in streams]
        for modality, streams in fusion["inputs"].items()
    }
    try:
        return msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise ReplayError(f"--remap {old}={new}: {error}") from error


def is_recorded_bundle(log: LogReader, config: Config) -> bool:
    """Whether the bundle is the one that the log was recorded with, as far as the log tells."""
    recorded = log.header.bundle_sha256
    found = sha256(find_bundle(config.fusion.bundle) / "bundle.json")
    return not recorded or recorded == found
