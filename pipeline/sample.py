"""What travels through the pipeline: one frozen type for each kind of sample.

Times are integer nanoseconds of this host's monotonic clock. Arrays are read-only views.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Int16Array: TypeAlias = npt.NDArray[np.int16]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)
MAX_TEXT_BYTES = 64 * 2**10  # of a text event: no source reads, and no reader accepts, more
ColourOrder: TypeAlias = Literal["rgb", "bgr"]


def health_stream(process: str) -> str:
    """The topic under which a process reports its health."""
    return f"health/{process}"


def always() -> bool:
    """Memory that nobody uses again is always intact."""
    return True


class Sample(Struct, frozen=True, kw_only=True):
    """The base of all samples.

    `stream` is the topic, as "camera/door". `seq` rises by one; a gap is a loss. A source sets
    `t_publish_ns` to the earliest moment at which the sample is whole (for a live device: now);
    the publisher waits for it, then stamps `seq` and the true `t_publish_ns`.
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
    whether they were whole; who keeps a frame copies it first.
    """

    pixels: UInt8Array
    order: ColourOrder = "bgr"
    intact: Callable[[], bool] = always


class AudioChunk(Sample, frozen=True, kw_only=True, eq=False):
    """A run of sound: `pcm` int16 (n, channels); `t_capture_ns` is that of the first sample."""

    pcm: Int16Array
    rate_hz: int

    @property
    def t_end_ns(self) -> int:
        return self.t_capture_ns + len(self.pcm) * 1_000_000_000 // self.rate_hz


class TextEvent(Sample, frozen=True, kw_only=True):
    """A line of text, with the other members of the JSON object it came in, if any."""

    text: str
    fields: dict[str, Any] = field(default_factory=dict)


class Reading(Sample, frozen=True, kw_only=True, eq=False):
    """Numbers measured at one time: `values` float32 (n,), with n `names` and n `units`."""

    values: Float32Array
    names: tuple[str, ...]
    units: tuple[str, ...]


class Health(Sample, frozen=True, kw_only=True):
    """What a process says of itself, once a second and at its end.

    `state` is one of starting, running, lost, stopped. `counters` hold counts since the start.
    """

    process: str
    pid: int
    state: str
    counters: dict[str, int] = field(default_factory=dict)
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSamples:
    """What each stream had published by `tick_ns`, oldest first, and what was really going on."""

    label: str
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
