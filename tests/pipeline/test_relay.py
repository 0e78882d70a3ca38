"""A relay process over loopback TCP: what arrives, who is refused, who is missed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from msgspec.structs import replace

from pipeline.bus import wire
from pipeline.bus.key import make_key, read_key
from pipeline.bus.publisher import Publisher
from pipeline.bus.remote import RemoteLink, relay_name
from pipeline.bus.ring import RingWriter
from pipeline.bus.subscriber import Subscriber
from pipeline.bus.tcp import Connection, Gate, Listener, client_keys
from pipeline.child import write_config
from pipeline.config import Config
from pipeline.loader import check
from pipeline.sample import Frame, Health, Sample, TextEvent, health_stream
from pipeline.stream import Camera, Text

LIMIT_S = 15.0
CAMERA, TEXT = "camera/a", "text/a"
BASE: dict[str, Any] = {"seq": 0, "t_capture_ns": 0, "t_publish_ns": 0}


def two_ports() -> int:
    """A free TCP port whose next one is free too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


@pytest.fixture
def use_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes this process one user or another; returns the public key."""

    def use(name: str) -> str:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / name))
        make_key()
        return read_key().public.decode()

    return use


class Robot:
    """The sending host: a publisher in this process, and a relay process of its own."""

    def __init__(self, folder: Path, stream: str, remote: dict[str, Any]) -> None:
        self.stream, self.port = stream, two_ports()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self._folder, self._path = folder, folder / "config.json"
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "robot")}
        self.config = self.configure(**remote)
        self.publisher = Publisher(self.config.endpoint(stream))

    def configure(self, **remote: Any) -> Config:
        """Write the configuration with these keys of the table `remote`."""
        kind, name = self.stream.split("/")
        line = {"source": "simulator", "remote": {"endpoint": self.endpoint, **remote}}
        table = {"name": "robot", "run_dir": str(self._folder / "r"), kind: {name: line}}
        config = check(table, "robot.toml")
        write_config(config, self._path)
        return config

    @contextmanager
    def relay(self) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "pipeline.bus.relay", str(self._path), self.stream]
        with subprocess.Popen(
            command, env=self.environment, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def health(self, counter: str, minimum: int) -> dict[str, int]:
        """The relay's counters, once one of them has reached a number."""
        bus = Subscriber({}, [self.config.relay_endpoint(self.stream)])
        try:
            until(bus, lambda: self._counter(bus, counter) >= minimum)
            return bus.health[relay_name(self.stream)].counters
        finally:
            bus.close()

    def _counter(self, bus: Subscriber, counter: str) -> int:
        health = bus.health.get(relay_name(self.stream))
        return health.counters.get(counter, 0) if health else 0


def until(bus: Subscriber, condition: Callable[[], object], limit_s: float = LIMIT_S) -> float:
    """Receive until a condition holds; how long that took."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() < began_s + limit_s, f"not within {limit_s} s"
        for _ in bus.receive(20):
            pass
    return time.monotonic() - began_s


@contextmanager
def reading(robot: Robot, **line: Any) -> Iterator[Subscriber]:
    kind = Camera if robot.stream.startswith("camera") else Text
    table = {robot.stream: (robot.endpoint, kind(source="remote", endpoint=robot.endpoint, **line))}
    bus = Subscriber(table)
    yield bus
    bus.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as closing:
        yield closing


def robot_of(stack: ExitStack, folder: Path, stream: str, **remote: Any) -> Robot:
    robot = Robot(folder, stream, remote)
    stack.callback(robot.publisher.close)
    return robot


def link_of(bus: Subscriber) -> RemoteLink:
    (link,) = bus.links.values()
    return link


def text(content: str) -> TextEvent:
    return TextEvent(**BASE, stream=TEXT, text=content)


def picture() -> Frame:
    rows = np.arange(240, dtype=np.uint8)[:, None, None]
    return Frame(**BASE, stream=CAMERA, pixels=np.broadcast_to(rows, (240, 320, 3)).copy())


def first(robot: Robot, bus: Subscriber, sample: Sample) -> Sample:
    """Publish a sample again and again until one arrives."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        robot.publisher.send(sample)
        for got in bus.receive(20):
            return got
    raise AssertionError(f"nothing arrived: {link_of(bus).state}")


def as_published_and_as_sent(robot: Robot, server_key: str) -> tuple[Sample, int, bytes]:
    """One picture as a local reader gets it, and the message in which it leaves the host."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    options = {**client_keys(server_key), zmq.SUBSCRIBE: wire.topic(CAMERA)}
    remote = Connection(context, zmq.SUB, robot.endpoint, options)
    local = Subscriber({CAMERA: (robot.config.endpoint(CAMERA), Camera(source=""))})
    published: dict[int, Sample] = {}
    deadline_s = time.monotonic() + LIMIT_S
    try:
        while not remote.socket.poll(20):
            assert time.monotonic() < deadline_s
            robot.publisher.send(picture())
            published |= {sample.seq: sample for sample in local.receive(20)}
        data = remote.socket.recv()
        return published[wire.decode(data)[0].seq], local.epoch(CAMERA), data
    finally:
        context.destroy(linger=0)
        local.close()


@pytest.mark.parametrize("quality", [None, 85])
def test_pictures_arrive_with_the_sensors_own_numbers(
    tmp_path: Path, stack: ExitStack, use_key: Callable[[str], str], quality: int | None
) -> None:
    server, client = use_key("robot"), use_key("hub")
    jpeg = {"jpeg_quality": quality} if quality else {}
    robot = robot_of(stack, tmp_path, CAMERA, allow=[client], **jpeg)
    stack.enter_context(robot.relay())
    published, epoch, data = as_published_and_as_sent(robot, server)
    sent, sent_epoch = wire.decode(data)
    assert sent_epoch == epoch
    for field in ("stream", "seq", "t_capture_ns", "t_publish_ns", "order"):
        assert getattr(sent, field) == getattr(published, field)
    assert isinstance(sent, Frame)
    if quality is None:
        assert np.array_equal(sent.pixels, picture().pixels)
    else:
        assert np.abs(sent.pixels.astype(int) - picture().pixels).max() < 12
        assert len(data) < picture().pixels.nbytes / 10


def test_an_allowed_key_reads_with_times_of_its_own_clock(
    tmp_path: Path, stack: ExitStack, use_key: Callable[[str], str]
) -> None:
    server, client = use_key("robot"), use_key("hub")
    robot = robot_of(stack, tmp_path, TEXT, allow=[client])
    stack.enter_context(robot.relay())
    bus = stack.enter_context(reading(robot, server_key=server))
    got = first(robot, bus, text("hello"))
    assert isinstance(got, TextEvent)
    assert got.text == "hello"
    link = link_of(bus)
    until(bus, lambda: "relay.captured" in link.report(bus.health).counters)
    health = link.report(bus.health)
    assert health.state == "connected"
    # Both ends have one clock here, so that the offset is nothing but its error.
    assert abs(health.counters["offset_ns"]) <= health.counters["offset_uncertainty_ns"]
    assert health.counters["offset_uncertainty_ns"] < 200_000_000
    ledger = bus.ledgers[TEXT]
    assert ledger.captured == ledger.delivered + ledger.dropped.total()
    assert set(ledger.dropped) <= {"no_clock"}


@pytest.mark.parametrize("who", ["no key", "a wrong server key", "an unlisted key"])
def test_everybody_else_is_refused_and_counted(
    tmp_path: Path, stack: ExitStack, use_key: Callable[[str], str], who: str
) -> None:
    server, client = use_key("robot"), use_key("hub")
    robot = robot_of(stack, tmp_path, TEXT, allow=[client])
    process = stack.enter_context(robot.relay())
    if who == "an unlisted key":
        unlisted = use_key("stranger")
    keys = {"no key": "", "a wrong server key": client, "an unlisted key": server}
    bus = stack.enter_context(reading(robot, server_key=keys[who]))
    until(bus, lambda: link_of(bus).state == "refused" or who != "an unlisted key")
    deadline_s = time.monotonic() + 1.0
    while time.monotonic() < deadline_s:
        robot.publisher.send(text("secret"))
        assert not list(bus.receive(20))
    assert bus.ledgers[TEXT].captured == 0
    assert link_of(bus).state != "connected"
    assert robot.health("refused_peers", 1)["delivered"] == 0
    process.terminate()
    errors = process.communicate(timeout=LIMIT_S)[1]
    n_lines = sum("refused a peer" in line for line in errors.splitlines())
    assert 1 <= n_lines <= 10
    if who == "an unlisted key":
        assert unlisted in errors
        assert "allow" in link_of(bus).report({}).last_error


def test_a_removed_key_is_refused_and_used_again_when_it_is_back(
    tmp_path: Path, stack: ExitStack, use_key: Callable[[str], str]
) -> None:
    server, other, client = use_key("robot"), use_key("other"), use_key("hub")
    robot = robot_of(stack, tmp_path, TEXT, allow=[client, other])
    bus = stack.enter_context(reading(robot, server_key=server))
    with robot.relay():
        first(robot, bus, text("a"))
    robot.configure(allow=[other])
    with robot.relay():
        until(bus, lambda: link_of(bus).state == "refused")
        robot.publisher.send(text("b"))
        assert not list(bus.receive(200))
    robot.configure(allow=[client])
    with robot.relay():
        first(robot, bus, text("c"))
    ledger = bus.ledgers[TEXT]
    assert ledger.captured == ledger.delivered + ledger.dropped.total()
    assert set(ledger.dropped) <= {"no_clock", "disconnected"}


def test_a_frozen_relay_is_missed_within_its_time_and_used_again(
    tmp_path: Path, stack: ExitStack, use_key: Callable[[str], str]
) -> None:
    server, client = use_key("robot"), use_key("hub")
    robot = robot_of(stack, tmp_path, TEXT, allow=[client])
    process = stack.enter_context(robot.relay())
    bus = stack.enter_context(reading(robot, server_key=server))
    link = link_of(bus)
    first(robot, bus, text("a"))
    process.send_signal(signal.SIGSTOP)
    assert until(bus, lambda: link.state == "disconnected") < 1.5
    assert link.local(text("x")) is None
    process.send_signal(signal.SIGCONT)
    until(bus, lambda: link.state == "connected")
    assert first(robot, bus, text("b"))


def test_what_is_lost_while_the_relay_is_down_is_told_apart(
    tmp_path: Path, stack: ExitStack
) -> None:
    robot = robot_of(stack, tmp_path, TEXT)
    bus = stack.enter_context(reading(robot))
    with robot.relay():
        first(robot, bus, text("a"))
    until(bus, lambda: link_of(bus).state == "disconnected")
    for _ in range(5):
        robot.publisher.send(text("lost"))
    with robot.relay():
        first(robot, bus, text("b"))
    ledger = bus.ledgers[TEXT]
    assert ledger.dropped["disconnected"] >= 5
    assert ledger.captured == ledger.delivered + ledger.dropped.total()
    assert set(ledger.dropped) <= {"no_clock", "disconnected"}


def test_without_readers_nothing_is_encoded_and_the_ledger_says_so(
    tmp_path: Path, stack: ExitStack
) -> None:
    robot = robot_of(stack, tmp_path, TEXT)
    process = stack.enter_context(robot.relay())
    assert robot.publisher.wait_for_subscriber(TEXT, LIMIT_S)
    for _ in range(10):
        robot.publisher.send(text("unread"))
    counters = robot.health("dropped.unread", 10)
    assert counters == {
        "captured": 10,
        "delivered": 0,
        "dropped.unread": 10,
        "refused_peers": 0,
    }
    process.terminate()
    assert process.wait(LIMIT_S) == 0


def test_a_relay_says_its_last_with_a_closed_ledger(tmp_path: Path, stack: ExitStack) -> None:
    robot = robot_of(stack, tmp_path, TEXT)
    process = stack.enter_context(robot.relay())
    bus = stack.enter_context(reading(robot))
    first(robot, bus, text("a"))
    n_sent = robot.publisher.counts[TEXT]
    last = Health(
        **BASE,
        stream=health_stream(TEXT),
        process=TEXT,
        pid=1,
        state="stopped",
        counters={"captured": n_sent},
    )
    robot.publisher.send(last)
    until(bus, lambda: TEXT in bus.health)
    assert bus.health[TEXT].counters == {"captured": n_sent}
    process.terminate()
    name = relay_name(TEXT)
    until(bus, lambda: name in bus.health and bus.health[name].state == "stopped")
    counters = bus.health[name].counters
    dropped = sum(n for key, n in counters.items() if key.startswith("dropped."))
    assert counters["captured"] == counters["delivered"] + dropped
    assert process.wait(LIMIT_S) == 0


def test_an_endpoint_that_is_taken_is_named(tmp_path: Path, stack: ExitStack) -> None:
    robot = robot_of(stack, tmp_path, TEXT)
    taken = stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", robot.port + 1))
    taken.listen()
    process = stack.enter_context(robot.relay())
    errors = process.communicate(timeout=LIMIT_S)[1]
    assert process.returncode == 1
    assert f"tcp://127.0.0.1:{robot.port + 1}: cannot be bound: Address already in use" in errors
    assert "Traceback" not in errors


class FakeRelay:
    """A peer that publishes what it likes, and answers no clock."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.stream, port = TEXT, two_ports()
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.bind(self.endpoint)


@pytest.fixture
def fake() -> Iterator[FakeRelay]:
    peer = FakeRelay()
    yield peer
    peer.context.destroy(linger=0)


@pytest.fixture
def bus(fake: FakeRelay) -> Iterator[Subscriber]:
    line = Text(source="remote", endpoint=fake.endpoint)
    subscriber = Subscriber({TEXT: (fake.endpoint, line)})
    for _ in range(2):  # the subscriptions of samples and health
        assert fake.socket.poll(int(LIMIT_S * 1000))
        fake.socket.recv()
    yield subscriber
    subscriber.close()


def test_without_a_clock_samples_are_dropped_not_guessed(fake: FakeRelay, bus: Subscriber) -> None:
    fake.socket.send(wire.encode(text("when?"), wire.Stamp(1, 0, 0)))
    until(bus, lambda: bus.ledgers[TEXT].dropped == {"no_clock": 1})
    assert link_of(bus).state == "no_clock"
    assert bus.ledgers[TEXT].counters() == {"captured": 1, "delivered": 0, "dropped.no_clock": 1}


def test_a_peer_cannot_point_into_shared_memory(fake: FakeRelay, bus: Subscriber) -> None:
    slot = RingWriter(240 * 320 * 3, n_slots=1).claim(240 * 320 * 3)
    frame = replace(picture(), stream=TEXT)
    fake.socket.send(wire.encode_place(frame, wire.Stamp(1, 0, 0), slot))
    until(bus, lambda: bus.ledgers[TEXT].dropped == {"malformed": 1})


def test_a_peer_speaks_for_its_own_stream_only(fake: FakeRelay, bus: Subscriber) -> None:
    for process in ("node", "camera/door", TEXT):
        said = Health(
            **BASE, stream=health_stream(process), process=process, pid=1, state="running"
        )
        fake.socket.send(wire.encode(said, wire.stamp_of(said)))
    until(bus, lambda: TEXT in bus.health)
    assert set(bus.health) == {TEXT}


def test_a_gate_whose_authenticator_died_lets_nobody_in(
    stack: ExitStack, use_key: Callable[[str], str]
) -> None:
    client = use_key("hub")
    server = use_key("robot")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    kept: list[object] = []  # ZeroMQ warns of sockets that are let go before their context
    stack.callback(kept.clear)
    stack.callback(context.destroy, linger=0)
    gate = Gate(context, [client])
    endpoint = f"tcp://127.0.0.1:{two_ports()}"
    listener = Listener(context, zmq.XPUB, endpoint, gate.options)
    gate.close()
    use_key("hub")
    other: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stack.callback(other.destroy, linger=0)
    connection = Connection(other, zmq.SUB, endpoint, client_keys(server))
    kept += [connection, listener]
    deadline_s = time.monotonic() + 1.0
    while time.monotonic() < deadline_s:
        connection.monitor.poll(50)
        connection.update()
        assert connection.state != "connected"
