"""The stream table of a configuration: [camera.NAME], [microphone.NAME], [text.NAME] and so on.

Sockets, freshness, masks, recording and supervision read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
Bound: TypeAlias = Annotated[int, Meta(ge=1, le=4096)]
Offset: TypeAlias = Annotated[float, Meta(ge=0, le=2000)]
Policy: TypeAlias = Literal["latest", "queue"]
Form: TypeAlias = Literal["none", "tokens", "jpeg", "lossless"]  # what is recorded of a stream
Kind: TypeAlias = Literal["camera", "microphone", "text", "readings"]
# What sensors.watchdog finds wrong with the samples of a stream.
PaceFault: TypeAlias = Literal["stamps", "slow", "fast"]
CameraFault: TypeAlias = Literal["frozen", "black", "covered", "noise"] | PaceFault
SoundFault: TypeAlias = Literal["frozen", "silent", "clipping"] | PaceFault
Fault: TypeAlias = CameraFault | SoundFault

# The modality under which a bundle knows each kind of stream.
MODALITY: Mapping[str, str] = {
    "camera": "image",
    "microphone": "audio",
    "text": "text",
    "readings": "readings",
}


def kind_of(stream: str) -> str:
    """ "camera/door" -> "camera"."""
    return stream.split("/", 1)[0]


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
