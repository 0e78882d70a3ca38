"""Which streams a node fuses, and how the windows of each are cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from engines.bundle import AudioSpec, EncoderSpec
from pipeline.aligner import WindowRule
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.frontend import window_rule
from pipeline.stream import MODALITY, Microphone, kind_of


class Taker(Protocol):
    """What takes the windows of streams: the manifest of a bundle, or one that is to be made."""

    @property
    def name(self) -> str: ...

    @property
    def specs(self) -> Mapping[str, EncoderSpec]:
        """{modality: spec}, in the order of modality ids and slots."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A bundle that is to be made."""

    name: str
    specs: Mapping[str, EncoderSpec]


def choose_inputs(config: Config, manifest: Taker) -> dict[str, list[str]]:
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


def window_rules(config: Config, manifest: Taker) -> dict[str, WindowRule]:
    """{stream: rule} of every stream that is fused. Raises ConfigError."""
    return {
        stream: window_rule(manifest.specs[modality], config.streams[stream])
        for modality, streams in choose_inputs(config, manifest).items()
        for stream in streams
    }


def _check_rate(config: Config, stream: str, spec: EncoderSpec) -> None:
    line = config.streams[stream]
    if not isinstance(line, Microphone) or not isinstance(spec, AudioSpec):
        return
    if line.sample_rate_hz != spec.rate_hz:
        key = f"{stream.replace('/', '.')}.sample_rate_hz"
        raise ConfigError(f"{key}: {line.sample_rate_hz}; the bundle takes {spec.rate_hz}")
