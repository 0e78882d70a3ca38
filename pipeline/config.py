"""The keys of the one configuration file; pipeline.loader reads and checks it.

Every stream is a table [camera.NAME], [microphone.NAME], [text.NAME] or [readings.NAME]; together
they are the stream table that sockets, freshness, masks and supervision read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from engines.options import EngineOptions
from engines.plan import Model
from pipeline.outlet import Action, EventRule, Out

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
TickRate: TypeAlias = Annotated[float, Meta(gt=0, le=1000)]
Bound: TypeAlias = Annotated[int, Meta(ge=1, le=4096)]
NAME = "^[A-Za-z0-9_-]{1,64}$"
Name: TypeAlias = Annotated[str, Meta(pattern=NAME)]
Policy: TypeAlias = Literal["latest", "queue"]
Form: TypeAlias = Literal["none", "tokens", "jpeg", "lossless"]  # what is recorded of a stream
Compression: TypeAlias = Literal["none", "lz4", "zstd"]
Offset: TypeAlias = Annotated[float, Meta(ge=0, le=2000)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Kind: TypeAlias = Literal["camera", "microphone", "text", "readings"]
# What sensors.watchdog finds wrong with the samples of a stream.
PaceFault: TypeAlias = Literal["stamps", "slow", "fast"]
CameraFault: TypeAlias = Literal["frozen", "black", "covered", "noise"] | PaceFault
SoundFault: TypeAlias = Literal["frozen", "silent", "clipping"] | PaceFault
Fault: TypeAlias = CameraFault | SoundFault

Backend: TypeAlias = Literal[
    "onnxruntime", "onnxruntime-cuda", "openvino", "tensorrt", "tensorrt-rtx"
]
Precision: TypeAlias = Literal["", "fp32", "tf32", "fp16", "bf16", "int8"]  # "": as it is best

# The modality under which a bundle knows each kind of stream.
MODALITY: Mapping[str, str] = {
    "camera": "image",
    "microphone": "audio",
    "text": "text",
    "readings": "readings",
}


class Remote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How other hosts get a stream: from a relay, over TCP. `allow` lists their public keys."""

    endpoint: str
    allow: list[str] = []
    insecure: bool = False
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] | None = None


class Stream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that every stream has."""

    source: str | int
    policy: Policy = "queue"
    bound: Bound = 64
    max_age_ms: Positive = 10_000
    offset_ms: Offset = 0.0  # the device is late by so much: it is taken from each capture time
    endpoint: str = ""
    server_key: str = ""
    insecure: bool = False
    remote: Remote | None = None
    record: Form = "none"
    required: bool = False
    mask_faults: tuple[Fault, ...] = ()

    @property
    def is_remote(self) -> bool:
        """Whether its sensor runs on another host, whose relay is at `endpoint`."""
        return self.source == "remote"

    @property
    def is_external(self) -> bool:
        """Whether a process of this host publishes it that no run starts, as a replay."""
        return self.source == "external"


class Camera(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device index, a video file, a URL (rtsp, http, udp) or "simulator"."""

    policy: Policy = "latest"
    bound: Bound = 8
    max_age_ms: Positive = 400
    rate_hz: Positive | None = None
    resize: tuple[Count, Count] | None = None
    loop: bool = False
    mask_faults: tuple[CameraFault, ...] = ("black", "covered")  # it sees nothing: it is absent
    frozen_s: Positive | None = None


class Microphone(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sounddevice input (name or index), an audio file, or "simulator"."""

    max_age_ms: Positive = 1500
    sample_rate_hz: Count = 16_000
    loop: bool = False
    mask_faults: tuple[SoundFault, ...] = ("silent",)  # a muted one is absent; it hears no quiet


class Text(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """ "stdin", a followed file, tcp://, zmq://, mqtt:// with the keys of a login, "simulator"."""

    user: str = ""
    password_file: str = ""
    ca_file: str = ""


class Readings(Stream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON-lines file that is followed, tcp://, zmq://, mqtt:// or "simulator"."""

    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    rate_hz: Positive | None = None
    frozen_s: Positive | None = None


class Simulator(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The home behind every stream whose source is "simulator"; the texts of a detailed one tell
    what its cameras see."""

    seed: int = 1
    detailed: bool = False


class Fusion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the fusion node runs, and when. The `governor` saves encodings to keep `deadline_ms`."""

    bundle: str = "home"
    tick_hz: TickRate | None = None
    clock: str = ""
    deadline_ms: Positive | None = None
    backend: Backend = "onnxruntime"
    precision: Precision = ""
    while_building: Literal["", "onnxruntime"] = ""  # what serves until the engines are there
    engine_cache: str = ""
    worker: bool = False
    governor: bool = False
    inputs: dict[str, list[str]] = {}
    index: str = ""

    @property
    def options(self) -> EngineOptions:
        """How the engines run."""
        return EngineOptions(precision=self.precision, cache=self.engine_cache)


class Recording(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [record]. `{time}` in `file` stands for the time at which the run was started."""

    file: str = ""
    compression: Compression = "none"
    segment_s: Positive | None = None
    segment_mb: Positive | None = None
    budget_mb: Positive | None = None


class Incidents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [incident]; pipeline.record.trigger says what each trigger means."""

    directory: str = ""
    before_s: Positive = 10
    after_s: Positive = 5
    memory_mb: Positive = 256
    budget_mb: Positive | None = None
    label: str | list[str] = []
    score: Share = 0.5
    disagreement: Share | None = None
    missed_deadline: bool = False
    lost_sensor: bool = False

    @property
    def labels(self) -> list[str]:
        """The labels that trigger."""
        return [self.label] if isinstance(self.label, str) else self.label


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration. `streams` is the stream table."""

    name: Name
    run_dir: str = ""
    camera: dict[Name, Camera] = {}
    microphone: dict[Name, Microphone] = {}
    text: dict[Name, Text] = {}
    readings: dict[Name, Readings] = {}
    simulator: Simulator = Simulator()
    fusion: Fusion = Fusion()
    out: Out = Out()
    record: Recording = Recording()
    incident: Incidents = Incidents()
    event: list[EventRule] = []
    action: list[Action] = []
    model: Model | None = None

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

    @property
    def sensors(self) -> dict[str, Stream]:
        """The streams whose sensors a run starts."""
        return {s: line for s, line in self.local_streams.items() if not line.is_external}

    @property
    def local_streams(self) -> dict[str, Stream]:
        """The streams that are published on this host."""
        return {stream: line for stream, line in self.streams.items() if not line.is_remote}

    @property
    def needs_key(self) -> bool:
        """Whether a stream comes or goes with CURVE, so that this host needs a key."""
        lines = self.streams.values()
        return any(line.server_key or (line.remote and line.remote.allow) for line in lines)

    def records(self, stream: str) -> bool:
        """Whether the recorder of the run takes the samples of a stream as they are."""
        return self.has_recorder and self.streams[stream].record in ("jpeg", "lossless")

    @property
    def has_recorder(self) -> bool:
        """Whether the run has a recorder."""
        return bool(self.record.file or self.incident.directory)

    def endpoint(self, stream: str) -> str:
        """Where the sensor of this stream binds, or the relay of another host."""
        return self.streams[stream].endpoint or self._ipc(stream.replace("/", "-"))

    def relay_endpoint(self, stream: str) -> str:
        """Where the relay of this stream reports its health on this host."""
        return self._ipc(stream.replace("/", "-") + "-relay")

    @property
    def predictions_endpoint(self) -> str:
        return self.out.endpoint or self._ipc("predictions")

    @property
    def control_endpoint(self) -> str:
        return self._ipc("control")

    @property
    def recorder_endpoint(self) -> str:
        """Where the recorder of the run reports its health."""
        return self._ipc("recorder")

    @property
    def home_endpoint(self) -> str:
        """Where the process that speaks to the home reports its health."""
        return self._ipc("home")

    @property
    def metrics_endpoint(self) -> str:
        """Where the process that Prometheus scrapes reports its health."""
        return self._ipc("metrics")

    def _ipc(self, name: str) -> str:
        return f"ipc://{self.directory / name}.ipc"


def kind_of(stream: str) -> str:
    """ "camera/door" -> "camera"."""
    return stream.split("/", 1)[0]


def runtime_root() -> Path:
    """The folder that holds the run directories of this user."""
    if root := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(root) / "sensorium"
    return Path(tempfile.gettempdir()) / f"sensorium-{os.getuid()}"
