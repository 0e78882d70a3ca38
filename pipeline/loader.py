"""From a TOML file to a checked Config: every error names its place and the nearest valid key."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from engines.plan import (
    HEAD_NAME,
    HEADS,
    AudioPlan,
    ImagePlan,
    Model,
    ReadingsPlan,
    TextPlan,
    Train,
)
from pipeline.bus.endpoint import check_endpoints
from pipeline.config import NAME, Config, Fusion, Incidents, Recording, Simulator
from pipeline.error import ConfigError
from pipeline.governor.check import check_governor
from pipeline.home.check import check_outlets
from pipeline.outlet import Action, EventRule, Mqtt, Out, Prometheus
from pipeline.stream import MODALITY, Camera, Microphone, Readings, Remote, Stream, Text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

AnyStruct = TypeVar("AnyStruct", bound=Struct)

_TABLES: Mapping[str, type[Stream]] = {
    "camera": Camera,
    "microphone": Microphone,
    "text": Text,
    "readings": Readings,
}
_SECTIONS: Mapping[str, type[Struct]] = {
    "simulator": Simulator,
    "fusion": Fusion,
    "out": Out,
    "record": Recording,
    "incident": Incidents,
}
# The tables that stand inside others, and those of which there may be many.
_INNER: Mapping[str, type[Struct]] = {"mqtt": Mqtt, "prometheus": Prometheus}
_LISTS: Mapping[str, type[Struct]] = {"event": EventRule, "action": Action}
_MODEL: Mapping[str, type[Struct]] = {
    "image": ImagePlan,
    "audio": AudioPlan,
    "text": TextPlan,
    "readings": ReadingsPlan,
    "train": Train,
}


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read, override and check a configuration file.

    `overrides` are "key.path=value" strings; a value is TOML, or else a plain string.
    Raises ConfigError.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    for override in overrides:
        _override(table, override)
    return check(table, str(path))


def amend(config: Config, overrides: Sequence[str], place: str) -> Config:
    """A checked configuration with overrides as those of `load`. Raises ConfigError."""
    table = _without_none(msgspec.to_builtins(config))
    for override in overrides:
        _override(table, override)
    return check(table, place)


def _without_none(value: Any) -> Any:
    """TOML has no word for a key that is not set."""
    if isinstance(value, dict):
        return {key: _without_none(x) for key, x in value.items() if x is not None}
    return value


def check(table: dict[str, Any], place: str) -> Config:
    """Turn a parsed table into a Config, or raise ConfigError naming `place` and the key."""
    for kind, struct in _TABLES.items():
        streams = table.get(kind, {})
        for name, stream in streams.items() if isinstance(streams, dict) else ():
            _check_name(name, f"{place}: {kind}.{name}")
            if isinstance(stream, dict) and "remote" in stream:
                _convert(stream["remote"], Remote, place, f"{kind}.{name}.remote")
            _convert(stream, struct, place, f"{kind}.{name}")
    _check_outlet_keys(table, place)
    for section, section_struct in _SECTIONS.items():
        _convert(table.get(section, {}), section_struct, place, section)
    _check_model(table.get("model"), place)
    config = _convert(table, Config, place, "")
    _check_streams(config, place)
    _check_offsets(config, place)
    _check_recording(config, place)
    check_governor(config, place)
    check_endpoints(config, place)
    check_outlets(config, place)
    return config


def _check_outlet_keys(table: dict[str, Any], place: str) -> None:
    out = table.get("out", {})
    for name, struct in _INNER.items():
        if isinstance(out, dict) and name in out:
            _convert(out[name], struct, place, f"out.{name}")
    for name, struct in _LISTS.items():
        items = table.get(name, [])
        for number, item in enumerate(items if isinstance(items, list) else ()):
            _convert(item, struct, place, f"{name}[{number}]")


def _check_model(model: Any, place: str) -> None:
    """Check [model] table by table, as far as it is there."""
    if model is None:
        return
    inner = model if isinstance(model, dict) else {}
    for name, struct in _MODEL.items():
        if name in inner:
            _convert(inner[name], struct, place, f"model.{name}")
    heads = inner.get("head", {})
    for name, head in heads.items() if isinstance(heads, dict) else ():
        if not re.match(HEAD_NAME, name):
            at = f"{place}: model.head.{name}"
            raise ConfigError(f"{at}: a name is up to 32 lower-case letters, digits and _")
        kind = head.get("kind") if isinstance(head, dict) else None
        if not isinstance(kind, str) or kind not in HEADS:
            at = f"{place}: model.head.{name}.kind"
            raise ConfigError(f"{at}: {kind!r} is no kind of head; those are {', '.join(HEADS)}")
        own = {key: value for key, value in head.items() if key != "kind"}
        _convert(own, HEADS[kind], place, f"model.head.{name}")
    _convert(model, Model, place, "model")


def _check_name(name: str, place: str) -> None:
    if not re.match(NAME, name):
        raise ConfigError(f"{place}: a name is up to 64 letters, digits, - and _")


def _convert(table: Any, kind: type[AnyStruct], place: str, at: str) -> AnyStruct:
    """msgspec would refuse an unknown key too, but without saying which one was meant."""
    prefix = f"{at}." if at else ""
    for key in table if isinstance(table, dict) else ():
        if key not in kind.__struct_fields__:
            near = difflib.get_close_matches(key, kind.__struct_fields__, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"{place}: unknown key `{prefix}{key}`; did you mean `{prefix}{near}`?"
            )
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        key = (at + path.rstrip("`")).lstrip(".") or "the top level"
        raise ConfigError(f"{place}: {key}: {what[0].lower()}{what[1:]}") from error


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"--set {override}: write it as key.path=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {parent} is not a table")
    table[last] = parsed


def _check_streams(config: Config, place: str) -> None:
    if not config.streams:
        raise ConfigError(f"{place}: no stream; add a table such as [camera.door]")
    named = [("fusion.clock", config.fusion.clock)] if config.fusion.clock else []
    for modality, streams in config.fusion.inputs.items():
        if modality not in MODALITY.values():
            valid = ", ".join(MODALITY.values())
            raise ConfigError(f"{place}: fusion.inputs.{modality}: the modalities are {valid}")
        named += [(f"fusion.inputs.{modality}", stream) for stream in streams]
    for key, stream in named:
        if stream not in config.streams:
            near = difflib.get_close_matches(stream, config.streams, n=1, cutoff=0.0)
            raise ConfigError(f"{place}: {key}: no stream `{stream}`; did you mean `{near[0]}`?")


def _check_offsets(config: Config, place: str) -> None:
    for stream, line in config.streams.items():
        if line.offset_ms and (line.is_remote or line.is_external):
            key = f"{stream.replace('/', '.')}.offset_ms"
            raise ConfigError(f"{place}: {key}: is set where the sensor runs, not here")


def _check_recording(config: Config, place: str) -> None:
    for stream, line in config.streams.items():
        if line.record == "jpeg" and not isinstance(line, Camera):
            key = f"{stream.replace('/', '.')}.record"
            raise ConfigError(f"{place}: {key}: jpeg is for cameras; take lossless")
    files, incident = config.record, config.incident
    if files.budget_mb and (not files.segment_mb or files.budget_mb < 2 * files.segment_mb):
        raise ConfigError(
            f"{place}: record.budget_mb: whole segments are deleted; set record.segment_mb to half"
            " of it or less"
        )
    if incident != Incidents() and not incident.directory:
        raise ConfigError(f"{place}: incident.directory: is missing; set it to a folder")
    if incident.missed_deadline and not config.fusion.deadline_ms:
        raise ConfigError(f"{place}: incident.missed_deadline: needs fusion.deadline_ms")
