"""The keys of the one configuration file; pipeline.loader reads and checks it."""

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
from pipeline.stream import (
    Camera,
    Microphone,
    Positive,
    Readings,
    Stream,
    Text,
)

TickRate: TypeAlias = Annotated[float, Meta(gt=0, le=1000)]
NAME = "^[A-Za-z0-9_-]{1,64}$"
Name: TypeAlias = Annotated[str, Meta(pattern=NAME)]
Compression: TypeAlias = Literal["none", "lz4", "zstd"]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Backend: TypeAlias = Literal[
    "onnxruntime", "onnxruntime-cuda", "openvino", "tensorrt", "tensorrt-rtx"
]
Precision: TypeAlias = Literal["", "fp32", "tf32", "fp16", "bf16", "int8"]  # "": as it is best


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


def runtime_root() -> Path:
    """The folder that holds the run directories of this user."""
    if root := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(root) / "sensorium"
    return Path(tempfile.gettempdir()) / f"sensorium-{os.getuid()}"
