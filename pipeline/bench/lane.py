"""The lanes that `sensorium bench transport` compares: ways of one array between two processes.

Each lane has a sending and a receiving side. `send` takes the time just before it; `receive`
returns that time once the array is there and one byte in 4096 was summed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import zmq

from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.error import SensoriumError
from pipeline.sample import OWN, AudioChunk, Frame, Memory, Sample, TextEvent, UInt8Array
from pipeline.stream import Stream

TIMEOUT_MS = 5000
STAMP_BYTES = 8
# ZeroMQ tells a sender only now and then what was read; at full speed 64 would not be enough.
HIGH_WATER_MARK = 4096
Arrival: TypeAlias = "tuple[int, int, UInt8Array]"  # sent at, sum of one byte in 4096, the bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """One kind of payload: sent at `rate_hz` when paced, `n_flood` times a turn at full speed."""

    name: str
    shape: tuple[int, ...]
    rate_hz: float
    n_flood: int

    @property
    def source(self) -> UInt8Array:
        """The known bytes that every message carries; a text is of printable letters."""
        low, high = (97, 123) if self.name == "text" else (0, 256)
        return np.random.default_rng(1).integers(low, high, self.shape, np.uint8)

    @property
    def is_picture(self) -> bool:
        return len(self.shape) == 3


PAYLOADS = {
    payload.name: payload
    for payload in (
        Payload("text", (200,), 100.0, 10_000),
        Payload("audio", (3200,), 100.0, 10_000),
        Payload("vga", (480, 640, 3), 30.0, 4_000),
        Payload("fullhd", (1080, 1920, 3), 30.0, 400),
    )
}


class SendLane(Protocol):
    """`prepare` is what happens before the clock starts: a driver fills its buffer."""

    def prepare(self) -> None: ...
    def send(self, stamp_ns: int) -> None: ...
    def close(self) -> None: ...


class ReceiveLane(Protocol):
    def receive(self) -> Arrival: ...
    def close(self) -> None: ...


def touch(array: UInt8Array) -> int:
    """What proves that the bytes came."""
    return int(array.reshape(-1)[::4096].sum())


def _endpoint(folder: Path, lane: str) -> str:
    return f"ipc://{folder}/{lane}.ipc"


class BusSend:
    """The project's bus; with `loan` the picture is made in the ring."""

    def __init__(self, folder: Path, payload: Payload, *, loan: bool) -> None:
        lane = "loan" if loan else "copy"
        self._publisher = Publisher(_endpoint(folder, lane), bound=HIGH_WATER_MARK)
        self._loan, self._source, self._pixels = loan, payload.source, payload.source
        self._memory: Memory = OWN
        self._pcm = payload.source.reshape(-1).view(np.int16)[:, None]
        self._text = payload.source.tobytes().decode() if payload.name == "text" else ""
        self._make = {"audio": self._chunk, "text": self._event}.get(payload.name, self._frame)
        self._stream = _stream(payload)
        if not self._publisher.wait_for_subscriber(self._stream, TIMEOUT_MS / 1000):
            raise SensoriumError(f"nobody subscribed to {self._stream}")

    def prepare(self) -> None:
        if self._loan:
            height, width, depth = self._source.shape
            self._pixels, self._memory = self._publisher.loan((height, width, depth))
            np.copyto(self._pixels, self._source)

    def send(self, stamp_ns: int) -> None:
        self._publisher.send(self._make(stamp_ns))

    def _frame(self, stamp_ns: int) -> Sample:
        return Frame(
            stream=self._stream,
            seq=0,
            t_capture_ns=stamp_ns,
            t_publish_ns=stamp_ns,
            pixels=self._pixels,
            memory=self._memory,
        )

    def _chunk(self, stamp_ns: int) -> Sample:
        return AudioChunk(
            stream=self._stream,
            seq=0,
            t_capture_ns=stamp_ns,
            t_publish_ns=stamp_ns,
            pcm=self._pcm,
            rate_hz=16_000,
        )

    def _event(self, stamp_ns: int) -> Sample:
        return TextEvent(
            stream=self._stream,
            seq=0,
            t_capture_ns=stamp_ns,
            t_publish_ns=stamp_ns,
            text=self._text,
        )

    def close(self) -> None:
        self._publisher.close()


def _stream(payload: Payload) -> str:
    kind = "camera" if payload.is_picture else {"audio": "microphone"}.get(payload.name, "text")
    return f"{kind}/bench"


class BusReceive:
    def __init__(self, folder: Path, payload: Payload, *, loan: bool) -> None:
        self._stream = _stream(payload)
        line = Stream(source="", bound=HIGH_WATER_MARK)
        endpoint = _endpoint(folder, "loan" if loan else "copy")
        self._subscriber = Subscriber({self._stream: (endpoint, line)})

    def receive(self) -> Arrival:
        # Kept: a program goes on to the next only when it is done with this one, too.
        self._samples = self._subscriber.receive(TIMEOUT_MS)
        sample = next(self._samples, None)
        if sample is None:
            raise SensoriumError(f"{self._stream}: nothing came")
        if isinstance(sample, Frame):
            total = touch(sample.pixels)
            if not sample.intact():
                raise SensoriumError("a picture was overwritten in use")
            return sample.t_capture_ns, total, sample.pixels
        array = _array(sample)
        return sample.t_capture_ns, touch(array), array

    def close(self) -> None:
        self._subscriber.close()


def _array(sample: Sample) -> UInt8Array:
    if isinstance(sample, AudioChunk):
        return np.frombuffer(sample.pcm.data, np.uint8)
    assert isinstance(sample, TextEvent)
    return np.frombuffer(sample.text.encode(), np.uint8)


class RawSend:
    """The yardstick: PUB/SUB over ipc, a header part and a payload part, without copying."""

    def __init__(self, folder: Path, payload: Payload) -> None:
        self._source = payload.source
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self._socket.bind(_endpoint(folder, "raw"))
        if not self._socket.poll(TIMEOUT_MS):
            raise SensoriumError("nobody subscribed to the raw lane")

    def prepare(self) -> None:
        """Nothing: the picture is where it is."""

    def send(self, stamp_ns: int) -> None:
        header = stamp_ns.to_bytes(STAMP_BYTES, "little")
        self._socket.send_multipart([header, self._source.data], copy=False)

    def close(self) -> None:
        self._context.destroy(linger=0)


class RawReceive:
    def __init__(self, folder: Path, payload: Payload) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(_endpoint(folder, "raw"))
        self._shape = payload.shape

    def receive(self) -> Arrival:
        if not self._socket.poll(TIMEOUT_MS):
            raise SensoriumError("raw lane: nothing came")
        header, body = self._socket.recv_multipart(copy=False)
        array: UInt8Array = np.frombuffer(body.buffer, np.uint8).reshape(self._shape)
        return int.from_bytes(header.bytes, "little"), touch(array), array

    def close(self) -> None:
        self._context.destroy(linger=0)


class BoundSend:
    """The bounds: a bare wake-up over a unix socket; with `copy`, after one copy of the payload."""

    def __init__(self, folder: Path, payload: Payload, *, copy: bool) -> None:
        self._source = payload.source
        self._target = np.empty_like(self._source) if copy else None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(str(folder / f"bound-{copy}.sock"))

    def prepare(self) -> None:
        """Nothing: the payload is where it is."""

    def send(self, stamp_ns: int) -> None:
        if self._target is not None:
            np.copyto(self._target, self._source)
        self._socket.send(stamp_ns.to_bytes(STAMP_BYTES, "little"))

    def close(self) -> None:
        self._socket.close()


class BoundReceive:
    """Touches a copy of its own, which stands for bytes that are there already."""

    def __init__(self, folder: Path, payload: Payload, *, copy: bool) -> None:
        self._array = payload.source
        path = folder / f"bound-{copy}.sock"
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.settimeout(TIMEOUT_MS / 1000)
        self._listener.bind(str(path))
        self._listener.listen()
        self._connection: socket.socket | None = None

    def receive(self) -> Arrival:
        if self._connection is None:
            self._connection, _ = self._listener.accept()
        stamp_ns = int.from_bytes(self._connection.recv(STAMP_BYTES), "little")
        return stamp_ns, touch(self._array), self._array

    def close(self) -> None:
        self._listener.close()
        if self._connection is not None:
            self._connection.close()


SENDERS: dict[str, Callable[[Path, Payload], SendLane]] = {
    "copy": lambda folder, payload: BusSend(folder, payload, loan=False),
    "loan": lambda folder, payload: BusSend(folder, payload, loan=True),
    "pyzmq": RawSend,
    "wake": lambda folder, payload: BoundSend(folder, payload, copy=False),
    "wake+copy": lambda folder, payload: BoundSend(folder, payload, copy=True),
}
RECEIVERS: dict[str, Callable[[Path, Payload], ReceiveLane]] = {
    "copy": lambda folder, payload: BusReceive(folder, payload, loan=False),
    "loan": lambda folder, payload: BusReceive(folder, payload, loan=True),
    "pyzmq": RawReceive,
    "wake": lambda folder, payload: BoundReceive(folder, payload, copy=False),
    "wake+copy": lambda folder, payload: BoundReceive(folder, payload, copy=True),
}


def lanes(payload: Payload) -> list[str]:
    """The lanes that a payload can take: only pictures are lent."""
    return [lane for lane in SENDERS if payload.is_picture or lane != "loan"]
