"""The one configuration file: what its keys are, and how a TOML file becomes a checked Config.

Every stream is a table [camera.NAME], [microphone.NAME], [text.NAME] or [readings.NAME]; together
they are the stream table that sockets, freshness, masks and supervision read.
"""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from pipeline.error import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A unix socket path holds 108 bytes with its closing zero (man 7 unix).
IPC_PATH_LIMIT_BYTES = 107

AnyStruct = TypeVar("AnyStruct", bound=Struct)
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
Policy: TypeAlias = Literal["latest", "queue"]
Kind: TypeAlias = Literal["camera", "microphone", "text", "readings"]

# The modality under which a bundle knows each kind of stream.
MODALITY: Mapping[str, str] = {
    "camera": "image",
    "microphone": "audio",
    "text": "text",
    "readings": "readings",
}


class Stream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that every stream has."""

    source: str | int
    policy: Policy = "queue"
    bound: Count = 64
    max_age_ms: Positive = 10_000
    endpoint: str = ""


class Camera(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device index, a video file, a URL (rtsp, http, udp) or "simulator"."""

    policy: Policy = "latest"
    max_age_ms: Positive = 400
    rate_hz: Positive | None = None
    resize: tuple[Count, Count] | None = None
    loop: bool = False


class Microphone(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sounddevice input (name or index), an audio file, or "simulator"."""

    max_age_ms: Positive = 1500
    sample_rate_hz: Count = 16_000
    loop: bool = False


class Text(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """ "stdin", a file that is followed, tcp://HOST:PORT, zmq://HOST:PORT or "simulator"."""


class Readings(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON-lines file that is followed, tcp://, zmq:// or "simulator"."""

    rate_hz: Positive = 2.0


class Simulator(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The home behind every stream whose source is "simulator"."""

    seed: int = 1


class Fusion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the fusion node runs, and when."""

    bundle: str = "home"
    tick_hz: Positive | None = None
    clock: str = ""
    deadline_ms: Positive | None = None
    backend: Literal["onnxruntime"] = "onnxruntime"
    worker: bool = False
    inputs: dict[str, list[str]] = {}


class Out(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where predictions go, besides the predictions endpoint, which is always there."""

    jsonl: str = ""
    endpoint: str = ""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration. `streams` is the stream table."""

    name: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$")]
    run_dir: str = ""
    camera: dict[str, Camera] = {}
    microphone: dict[str, Microphone] = {}
    text: dict[str, Text] = {}
    readings: dict[str, Readings] = {}
    simulator: Simulator = Simulator()
    fusion: Fusion = Fusion()
    out: Out = Out()

    @property
    def streams(self) -> dict[str, Stream]:
        """{"camera/door": ...}, in the order camera, microphone, text, readings."""
        tables: dict[str, Mapping[str, Stream]] = {
            "camera": self.camera,
            "microphone": self.microphone,
            "text": self.text,
            "readings": self.readings,
        }
        return {f"{kind}/{name}": s for kind, table in tables.items() for name, s in table.items()}

    @property
    def directory(self) -> Path:
        """The run directory: sockets, locks and nothing that outlives the run."""
        return Path(self.run_dir) if self.run_dir else runtime_root() / self.name

    @property
    def tick_hz(self) -> float:
        """Ticks a second; with a clock stream and no tick_hz, 0."""
        return self.fusion.tick_hz or (0.0 if self.fusion.clock else 10.0)

    def endpoint(self, stream: str) -> str:
        """Where the sensor of this stream binds."""
        return self.streams[stream].endpoint or self._ipc(stream.replace("/", "-"))

    @property
    def predictions_endpoint(self) -> str:
        return self.out.endpoint or self._ipc("predictions")

    @property
    def control_endpoint(self) -> str:
        return self._ipc("control")

    def _ipc(self, name: str) -> str:
        return f"ipc://{self.directory / name}.ipc"


_TABLES: Mapping[str, type[Stream]] = {
    "camera": Camera,
    "microphone": Microphone,
    "text": Text,
    "readings": Readings,
}
_SECTIONS: Mapping[str, type[Struct]] = {"simulator": Simulator, "fusion": Fusion, "out": Out}


def kind_of(stream: str) -> str:
    """ "camera/door" -> "camera"."""
    return stream.split("/", 1)[0]


def runtime_root() -> Path:
    """The folder that holds the run directories of this user."""
    if root := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(root) / "sensorium"
    return Path(tempfile.gettempdir()) / f"sensorium-{os.getuid()}"


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


def check(table: dict[str, Any], place: str) -> Config:
    """Turn a parsed table into a Config, or raise ConfigError naming `place` and the key."""
    for kind, struct in _TABLES.items():
        streams = table.get(kind, {})
        for name, stream in streams.items() if isinstance(streams, dict) else ():
            _convert(stream, struct, place, f"{kind}.{name}")
    for section, section_struct in _SECTIONS.items():
        _convert(table.get(section, {}), section_struct, place, section)
    config = _convert(table, Config, place, "")
    _check_streams(config, place)
    _check_endpoints(config, place)
    return config


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


def _check_endpoints(config: Config, place: str) -> None:
    owners: dict[str, str] = {}
    endpoints = {stream: config.endpoint(stream) for stream in config.streams}
    endpoints |= {"out": config.predictions_endpoint, "control": config.control_endpoint}
    for owner, endpoint in endpoints.items():
        _check_endpoint(endpoint, f"{place}: {owner}")
        if endpoint in owners:
            raise ConfigError(f"{place}: {owner} and {owners[endpoint]} both claim {endpoint}")
        owners[endpoint] = owner


def _check_endpoint(endpoint: str, place: str) -> None:
    scheme, _, address = endpoint.partition("://")
    if scheme == "ipc":
        if (size := len(address.encode())) > IPC_PATH_LIMIT_BYTES:
            raise ConfigError(
                f"{place}: {endpoint} has {size} bytes, a socket path holds {IPC_PATH_LIMIT_BYTES};"
                " set a shorter run_dir"
            )
    elif scheme != "tcp":
        raise ConfigError(f"{place}: {endpoint}: an endpoint starts with ipc:// or tcp://")
    elif address.rsplit(":", 1)[0] not in ("127.0.0.1", "localhost", "[::1]"):
        raise ConfigError(f"{place}: {endpoint} is open to others; only loopback is supported")
