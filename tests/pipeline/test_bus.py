"""The bus over real ZeroMQ sockets: policies, losses, restarts, claims, and junk."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from pipeline.bus import wire
from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.error import BusError, ConfigError
from pipeline.sample import Frame, Sample, TextEvent
from pipeline.stream import Camera, Stream, Text

LIMIT_S = 10.0


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/s.ipc"


def subscribe(endpoint: str, stream: str, line: Stream) -> Iterator[Subscriber]:
    subscriber = Subscriber({stream: (endpoint, line)})
    yield subscriber
    subscriber.close()


@pytest.fixture
def texts(endpoint: str) -> Iterator[Subscriber]:
    yield from subscribe(endpoint, "text/a", Text(source=""))


@pytest.fixture
def frames(endpoint: str) -> Iterator[Subscriber]:
    yield from subscribe(endpoint, "camera/a", Camera(source=""))


def meet(publisher: Publisher, subscriber: Subscriber, stream: str) -> None:
    """Wait until the subscription has arrived; a subscriber renews it only while it receives."""
    deadline_s = time.monotonic() + LIMIT_S
    while not publisher.wait_for_subscriber(stream, 0.05):
        assert time.monotonic() < deadline_s, "nobody subscribed"
        assert not list(subscriber.receive(0))


def text(content: str) -> TextEvent:
    return TextEvent(stream="text/a", seq=0, t_capture_ns=0, t_publish_ns=0, text=content)


def frame(value: int) -> Frame:
    pixels = np.full((480, 640, 3), value, np.uint8)
    return Frame(stream="camera/a", seq=0, t_capture_ns=0, t_publish_ns=0, pixels=pixels)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def receive_until(subscriber: Subscriber, seq: int) -> list[Sample]:
    """All samples up to the one with this sequence number."""
    samples: list[Sample] = []
    deadline_s = time.monotonic() + LIMIT_S
    while not samples or samples[-1].seq != seq:
        assert time.monotonic() < deadline_s, "the sample did not come"
        samples += subscriber.receive(100)
    return samples


def test_a_queue_keeps_everything_in_order(endpoint: str, texts: Subscriber) -> None:
    with Publisher(endpoint, bound=64) as publisher:
        assert publisher.wait_for_subscriber("text/a", LIMIT_S)
        for n in range(50):
            publisher.send(text(str(n)))
        received = receive_until(texts, 49)
    assert [(s.seq, s.text) for s in received if isinstance(s, TextEvent)] == [
        (n, str(n)) for n in range(50)
    ]
    assert texts.ledgers["text/a"].counters() == {"captured": 50, "delivered": 50}


def test_latest_gives_a_slow_reader_the_newest_and_counts_the_rest(
    endpoint: str, frames: Subscriber
) -> None:
    with Publisher(endpoint) as publisher:
        assert publisher.wait_for_subscriber("camera/a", LIMIT_S)
        publisher.send(frame(0))
        receive_until(frames, 0)
        for value in range(1, 4):
            publisher.send(frame(value))
        newest = receive_until(frames, 3)[-1]
    assert isinstance(newest, Frame)
    assert newest.pixels[0, 0, 0] == 3
    ledger = frames.ledgers["camera/a"]
    assert ledger.captured == 4 == ledger.delivered + ledger.dropped.total()
    assert set(ledger.dropped) <= {"superseded"}


def test_an_overflow_of_a_queue_is_counted(endpoint: str) -> None:
    for subscriber in subscribe(endpoint, "text/a", Text(source="", bound=1)):
        with Publisher(endpoint, bound=1) as publisher:
            assert publisher.wait_for_subscriber("text/a", LIMIT_S)
            publisher.send(text("first"))
            receive_until(subscriber, 0)
            # More than both queues and the kernel's buffers hold, and nobody reads.
            for _ in range(200):
                publisher.send(text("x" * 60_000))
            received = list(subscriber.receive(1000))
            while received[-1].seq < 200:
                publisher.send(text("last"))
                received += subscriber.receive(1000)
        ledger = subscriber.ledgers["text/a"]
        assert ledger.dropped["queue_full"] > 0
        assert ledger.captured == received[-1].seq + 1


def test_a_publisher_that_comes_back_is_read_again(endpoint: str, texts: Subscriber) -> None:
    for _ in range(2):
        with Publisher(endpoint) as publisher:
            meet(publisher, texts, "text/a")
            publisher.send(text("hello"))
            assert [sample.seq for sample in receive_until(texts, 0)] == [0]
    assert texts.ledgers["text/a"].counters() == {"captured": 2, "delivered": 2}


def test_an_endpoint_belongs_to_one_publisher(endpoint: str) -> None:
    with Publisher(endpoint), pytest.raises(BusError, match="another process publishes here"):
        Publisher(endpoint)
    port = free_port()
    tcp = f"tcp://127.0.0.1:{port}"
    with Publisher(tcp), pytest.raises(BusError, match="cannot be bound: Address already in use"):
        Publisher(tcp)


def test_nothing_is_left_after_close(endpoint: str, tmp_path: Path) -> None:
    Publisher(endpoint).close()
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        Publisher(f"ipc://{tmp_path}/file/s.ipc")


def test_junk_is_dropped_and_counted_and_the_stream_goes_on(
    endpoint: str, texts: Subscriber
) -> None:
    good = wire.encode(text("good"), wire.Stamp(1, 0, 0))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.XPUB) as alien:
        alien.bind(endpoint)
        alien.recv()
        for junk in (b"text/a\0", b"text/a\0\x07" + good[8:], good[:-20], b"text/a\0" + b"?" * 99):
            alien.send(junk)
        alien.send(good)
        samples = receive_until(texts, 0)
    context.term()
    assert [sample.text for sample in samples if isinstance(sample, TextEvent)] == ["good"]
    assert texts.ledgers["text/a"].dropped == {"malformed": 4}
