"""The ring: no torn picture is ever taken for a whole one, and nothing stays behind."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.bus import ring
from pipeline.bus.publisher import Publisher
from pipeline.bus.ring import RING_NAME, RingReader, RingWriter, Slot, arena_socket, attach
from pipeline.bus.subscriber import Subscriber
from pipeline.error import OverwrittenError
from pipeline.sample import Frame, UInt8Array, read_only
from pipeline.stream import Camera, Stream

LIMIT_S = 10.0
STREAM = "camera/a"

PUBLISHER = """
import sys
import numpy as np
from pipeline.bus.publisher import Publisher
from pipeline.sample import Frame, UInt8Array, read_only
with Publisher(sys.argv[1]) as publisher:
    n = 0
    while True:
        publisher.wait_for_subscriber("camera/a", 0.002)
        pixels = np.full((240, 320, 3), n % 256, np.uint8)
        frame = Frame(stream="camera/a", seq=0, t_capture_ns=n, t_publish_ns=0, pixels=pixels)
        publisher.send(frame)
        n += 1
"""


@pytest.fixture
def rings() -> Iterator[tuple[RingWriter, RingReader]]:
    writer = RingWriter(10_000, n_slots=4)
    reader = RingReader(handed_over(writer))
    yield writer, reader
    writer.close()


def handed_over(writer: RingWriter) -> int:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer.share(ours)
        _, descriptors, _, _ = socket.recv_fds(theirs, 1, 1)
    return descriptors[0]


def seen(reader: RingReader, slot: Slot) -> Slot:
    """The slot as the reader gets it."""
    return reader.slot(slot.index, slot.generation, slot.size_bytes)


def pixels_of(value: int, n_bytes: int = 9_999) -> UInt8Array:
    return np.full((n_bytes // 3, 1, 3), value, np.uint8)


def fill(slot: Slot, pixels: UInt8Array) -> None:
    """Copy them in; nobody is told."""
    slot.fill(pixels, lambda _: None, b"")


def filled(writer: RingWriter, value: int) -> Slot:
    """The next slot with a picture of this value."""
    slot = writer.claim(pixels_of(value).nbytes)
    fill(slot, pixels_of(value))
    return slot


def test_a_reader_sees_what_was_written(rings: tuple[RingWriter, RingReader]) -> None:
    writer, reader = rings
    for value in range(10):
        slot = seen(reader, filled(writer, value))
        assert (slot.array((9_999,)) == value).all()
        assert slot.intact()


def test_a_slot_that_was_used_again_is_refused_and_noticed_after_use(
    rings: tuple[RingWriter, RingReader],
) -> None:
    writer, reader = rings
    written = filled(writer, 1)
    slot = seen(reader, written)
    for _ in range(3):
        filled(writer, 2)
    assert slot.intact()
    filled(writer, 5)
    assert not slot.intact()
    assert (slot.array((9_999,)) == 5).all()
    with pytest.raises(OverwrittenError, match="used again"):
        seen(reader, written)


@pytest.mark.parametrize(("n_rows", "n_first"), [(100, 0), (1024, 683)])
def test_readers_are_told_before_the_last_part_is_copied(n_rows: int, n_first: int) -> None:
    pixels = np.full((n_rows, 1024, 3), 7, np.uint8)[:, ::-1]  # does not lie in one piece
    writer = RingWriter(pixels.nbytes, n_slots=2)
    slot = writer.claim(pixels.nbytes)
    told: list[tuple[bool, list[int]]] = []

    def announce(message: bytes) -> None:
        assert message == b"here"
        there = slot.array(pixels.shape)[:, 0, 0]
        told.append((slot.intact(), np.flatnonzero(there == 7).tolist()))

    slot.fill(pixels, announce, b"here")
    assert told == [(False, list(range(n_first)))]
    assert slot.intact()
    assert (slot.array(pixels.shape) == pixels).all()
    writer.close()


def test_a_reader_waits_for_a_slot_that_is_being_filled(
    rings: tuple[RingWriter, RingReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = rings
    monkeypatch.setattr(ring, "FILL_S", LIMIT_S)
    slot = writer.claim(pixels_of(3).nbytes)
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(seen, reader, slot)
        assert not wait([got], 0.01).done
        fill(slot, pixels_of(3))
        assert (got.result(LIMIT_S).array((9_999,)) == 3).all()


def test_a_slot_that_was_lent_again_while_it_was_filled_does_not_become_whole(
    rings: tuple[RingWriter, RingReader],
) -> None:
    writer, reader = rings
    slot = writer.claim(pixels_of(1).nbytes)
    lent: list[Slot] = []
    slot.fill(pixels_of(1), lambda _: lent.extend(writer.claim(99) for _ in range(4)), b"")
    assert lent[-1].index == slot.index
    assert not slot.intact()
    with pytest.raises(OverwrittenError, match="used again"):
        seen(reader, slot)


def test_a_slot_that_nobody_goes_on_to_fill_is_refused(
    rings: tuple[RingWriter, RingReader],
) -> None:
    writer, reader = rings
    slot = writer.claim(100)
    with pytest.raises(OverwrittenError, match="stopped in the middle of it"):
        seen(reader, slot)


@pytest.mark.parametrize("place", [(4, 2, 5), (2**63, 2, 5), (0, 2, 2**40)])
def test_a_place_outside_the_ring_is_refused(
    rings: tuple[RingWriter, RingReader], place: tuple[int, int, int]
) -> None:
    with pytest.raises(OverwrittenError, match="outside"):
        rings[1].slot(*place)


def test_a_reader_can_neither_write_nor_resize_the_memory(
    rings: tuple[RingWriter, RingReader],
) -> None:
    writer, reader = rings
    slot = seen(reader, filled(writer, 1))
    assert not slot.array((9_999,)).flags.writeable
    fd = handed_over(writer)
    with pytest.raises(PermissionError):
        mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    os.close(fd)


@pytest.mark.parametrize("size", [0, 100, 4096, 3 * 4096])
def test_a_memory_that_is_no_ring_is_refused(size: int) -> None:
    fd = os.memfd_create("alien")
    os.ftruncate(fd, size)
    with pytest.raises(OverwrittenError):
        RingReader(fd)
    os.close(fd)


def frame(value: int, size_px: int = 240) -> Frame:
    pixels = np.full((size_px, size_px, 3), value, np.uint8)
    return Frame(stream=STREAM, seq=0, t_capture_ns=0, t_publish_ns=0, pixels=pixels)


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/s.ipc"


@pytest.fixture
def subscriber(endpoint: str) -> Iterator[Subscriber]:
    yield from subscribed(endpoint)


def subscribed(endpoint: str) -> Iterator[Subscriber]:
    # A queue: of a `latest` stream ZeroMQ may hold a message back until the next comes.
    made = Subscriber({STREAM: (endpoint, Stream(source=""))})
    yield made
    made.close()


def newest(subscriber: Subscriber) -> Frame:
    """The next frame that can be had."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        assert time.monotonic() < deadline_s, "no frame came"
        for sample in subscriber.receive(50):
            assert isinstance(sample, Frame)
            return sample


def meet(publisher: Publisher, subscriber: Subscriber) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not publisher.wait_for_subscriber(STREAM, 0.05):
        assert time.monotonic() < deadline_s, "nobody subscribed"
        assert not list(subscriber.receive(0))


def test_a_frame_that_is_kept_too_long_says_so(endpoint: str, subscriber: Subscriber) -> None:
    with Publisher(endpoint, slots=2) as publisher:
        meet(publisher, subscriber)
        publisher.send(frame(1))
        kept = newest(subscriber)
        publisher.send(frame(2))
        assert kept.intact()
        publisher.send(frame(3))
        assert not kept.intact()


def test_a_message_whose_slot_is_gone_is_counted(endpoint: str) -> None:
    """A queue that is longer than the ring: the oldest messages point to slots in use again."""
    line = Camera(source="", policy="queue")
    reader = Subscriber({STREAM: (endpoint, line)})
    with Publisher(endpoint, bound=64, slots=2) as publisher:
        meet(publisher, reader)
        for value in range(10):
            publisher.send(frame(value))
        got: list[int] = []
        while not got or got[-1] != 9:
            got += [sample.seq for sample in reader.receive(100)]
    ledger = reader.ledgers[STREAM]
    assert ledger.dropped == {"overwritten": 10 - len(got)}
    assert ledger.captured == 10 == ledger.delivered + ledger.dropped.total()
    reader.close()


def test_a_larger_picture_gets_a_larger_ring(endpoint: str, subscriber: Subscriber) -> None:
    with Publisher(endpoint) as publisher:
        meet(publisher, subscriber)
        for size_px in (80, 240, 80, 480):
            publisher.send(frame(size_px % 256, size_px))
            got = newest(subscriber)
            assert got.pixels.shape == (size_px, size_px, 3)
            assert (got.pixels == size_px % 256).all()
            assert got.intact()


def test_many_readers_see_the_same_pictures(endpoint: str) -> None:
    readers = [Subscriber({STREAM: (endpoint, Camera(source=""))}) for _ in range(4)]
    waiting, deadline_s = set(readers), time.monotonic() + LIMIT_S
    with Publisher(endpoint) as publisher:
        while waiting:
            assert time.monotonic() < deadline_s, "a reader got nothing"
            publisher.send(frame(7))
            for reader in list(waiting):
                for sample in reader.receive(5):
                    assert isinstance(sample, Frame)
                    assert (sample.pixels == 7).all()
                    waiting.discard(reader)
    for reader in readers:
        reader.close()


def test_a_publisher_that_is_killed_and_started_again_is_read_again(
    endpoint: str, subscriber: Subscriber, tmp_path: Path
) -> None:
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", PUBLISHER, endpoint]) as publisher:
            first = newest(subscriber)
            second = newest(subscriber)
            assert second.t_capture_ns > first.t_capture_ns
            assert (second.pixels == second.t_capture_ns % 256).all() or not second.intact()
            publisher.send_signal(signal.SIGKILL)
        drain(subscriber)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".ipc", ".lock", ".mem"}


def drain(subscriber: Subscriber) -> None:
    while list(subscriber.receive(50)):
        pass


def test_readers_that_come_and_go_leak_nothing(endpoint: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PUBLISHER, endpoint]) as publisher:
        n_open = []
        for _ in range(10):
            for reader in subscribed(endpoint):
                newest(reader)
            n_open.append((len(os.listdir("/proc/self/fd")), n_maps()))
        publisher.terminate()
    assert n_open[-1] == n_open[2]


def n_maps() -> int:
    """How many rings this process maps."""
    return Path("/proc/self/maps").read_text(encoding="utf-8").count(RING_NAME)


def test_without_a_publisher_the_memory_is_gone(endpoint: str) -> None:
    with pytest.raises(OverwrittenError, match="its shared memory is gone"):
        attach(endpoint)


def test_the_socket_beside_the_endpoint_is_no_longer_than_it(endpoint: str) -> None:
    assert len(str(arena_socket(endpoint))) == len(endpoint.removeprefix("ipc://"))


def test_a_picture_that_is_made_in_a_loan_is_not_copied(
    endpoint: str, subscriber: Subscriber
) -> None:
    with Publisher(endpoint) as publisher:
        meet(publisher, subscriber)
        for value in range(20):
            pixels, memory = publisher.loan((240, 320, 3))
            pixels[:] = value
            publisher.send(replace(frame(0), pixels=read_only(pixels), memory=memory))
            got = newest(subscriber)
            assert (got.pixels == value).all()
            pixels[:] = 255  # the very memory that the reader sees
            assert (got.pixels == 255).all()


def test_a_loan_that_is_not_used_is_skipped(endpoint: str, subscriber: Subscriber) -> None:
    with Publisher(endpoint, slots=4) as publisher:
        meet(publisher, subscriber)
        for value in range(10):
            publisher.loan((240, 240, 3))[0][:] = 99
            publisher.send(frame(value))
            got = newest(subscriber)
            assert (got.pixels == value).all()
            assert got.intact()


def test_a_slot_that_is_lent_again_is_no_longer_intact(
    endpoint: str, subscriber: Subscriber
) -> None:
    with Publisher(endpoint, slots=2) as publisher:
        meet(publisher, subscriber)
        publisher.send(frame(1))
        got = newest(subscriber)
        publisher.loan((240, 240, 3))
        assert got.intact()
        publisher.loan((240, 240, 3))
        assert not got.intact()
