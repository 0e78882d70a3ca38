"""What travels through the pipeline: one frozen type for each kind of sample.

Times are integer nanoseconds of this host's monotonic clock. Arrays are read-only views.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct, field

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Int16Array: TypeAlias = npt.NDArray[np.int16]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)
MAX_TEXT_BYTES = 64 * 2**10  # of a text event: no source reads, and no reader accepts, more
BoundedText: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT_BYTES)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
ColourOrder: TypeAlias = Literal["rgb", "bgr"]


def health_stream(process: str) -> str:
    """The topic under which a process reports its health."""
    return f"health/{process}"


def tokens_stream(stream: str) -> str:
    """The topic under which the tokens of a stream are published."""
    return f"tokens/{stream}"


class Memory(Struct, frozen=True, eq=False, gc=False):
    """The memory that pixels lie in: here the reader's own, which nobody else writes to."""

    def intact(self) -> bool:
        """Whether what was read until now was whole."""
        return True


OWN = Memory()


class Sample(
    Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag=str.lower
):
    """The base of all samples; its fields in this order are also the header on the wire.

    `stream` is the topic, as "camera/door". `seq` rises by one; a gap is a loss. A source sets
    `t_publish_ns` to the earliest moment at which the sample is whole (for a live device: now);
    the publishing loop waits for it, then the publisher stamps `seq` and the true `t_publish_ns`.
    """

    stream: str
    seq: int
    t_capture_ns: int
    t_publish_ns: int

    @property
    def t_end_ns(self) -> int:
        """The end of what was captured; ages count from here."""
        return self.t_capture_ns


class Frame(Sample, frozen=True, kw_only=True, eq=False):
    """One picture: `pixels` uint8 (height, width, 3), channels in `order`.

    The pixels may lie in memory that their publisher uses again. `intact` then tells, after use,
    whether they were whole; who keeps a frame copies it first. `jpeg_quality` is that at which
    they travelled; 0 if they are as they were captured.
    """

    pixels: UInt8Array
    order: ColourOrder = "bgr"
    memory: Memory = OWN
    jpeg_quality: int = 0

    def intact(self) -> bool:
        """Whether the pixels were whole until now."""
        return self.memory.intact()


class AudioChunk(Sample, frozen=True, kw_only=True, eq=False):
    """A run of sound: `pcm` int16 (n, channels); `t_capture_ns` is that of the first sample."""

    pcm: Int16Array
    rate_hz: Count

    @property
    def t_end_ns(self) -> int:
        return self.t_capture_ns + len(self.pcm) * 1_000_000_000 // self.rate_hz


class TextEvent(Sample, frozen=True, kw_only=True):
    """A line of text, with the other members of the JSON object it came in, if any."""

    text: BoundedText
    fields: dict[str, Any] = field(default_factory=dict)


class Reading(Sample, frozen=True, kw_only=True, eq=False):
    """Numbers measured at one time: `values` float32 (n,), with n `names` and n `units`."""

    values: Float32Array
    names: tuple[str, ...]
    units: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or not len(self.values) == len(self.names) == len(self.units):
            raise ValueError("readings need a name and a unit each")


class Health(Sample, frozen=True, kw_only=True):
    """What a process says of itself: once a second, as its state changes, and at its end.

    `state` is one of starting, running, stuck, lost, ended, stopped. `counters` hold counts since
    the start. A sensor is stuck while its samples have `faults`, which sensors.watchdog names.
    """

    process: str
    pid: int
    state: str
    counters: dict[str, int] = field(default_factory=dict)
    last_error: str = ""
    faults: list[str] = field(default_factory=list)


class Tokens(Sample, frozen=True, kw_only=True, eq=False):
    """What the encoder made of a window of the stream `of`: `values` float32 (n, width).

    `seq` and `t_capture_ns` are those of the window's newest sample. Nobody can see or hear what
    was there from it.
    """

    of: str
    values: Float32Array


class Label(Sample, frozen=True, kw_only=True):
    """What was going on from `t_capture_ns` to `t_until_ns`, as `source` says it.

    `source` is truth, a person's name, or the bundle that predicted it with this `score`.
    """

    label: str
    t_until_ns: int
    source: str = "truth"
    score: float = 1.0

    @property
    def t_end_ns(self) -> int:
        return self.t_until_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSamples:
    """What each stream had published by `tick_ns`, oldest first, and what was really going on.

    `labels` {label set: the labels that hold at the tick, newest last}; a set of which none holds
    is not in it.
    """

    labels: Mapping[str, tuple[str, ...]]
    tick_ns: int
    samples: Mapping[str, Sequence[Sample]]


class Source(Protocol):
    """A generator of samples. None means: alive, nothing new yet (at least twice a second).

    A device that goes away raises SensorLostError; the publishing loop reports it and calls the
    source again after a back-off.
    """

    def __call__(self) -> Generator[Sample | None, None, None]: ...


def read_only(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """A view of the array that refuses writes."""
    view: npt.NDArray[Scalar] = array.view()
    view.flags.writeable = False
    return view
