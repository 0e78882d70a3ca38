"""Lines from every source of them: TCP, ZeroMQ, a followed file, standard input."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from pipeline.error import ConfigError
from sensors.lines import MAX_CLIENTS, Lines, lines
from sensors.splitter import MAX_TEXT_BYTES
from tests import parts


@contextmanager
def opened(source: str | int | Path, counters: dict[str, int] | None = None) -> Iterator[Lines]:
    """The lines of a source."""
    source = str(source) if isinstance(source, Path) else source
    with closing(lines(source, {} if counters is None else counters)) as opened_lines:
        yield opened_lines


def said(source: Lines, n: int) -> list[str]:
    return [line.decode() for line in parts.take(source, n)]


def started(sensor: Any) -> Any:
    """Pull once, so that the source is open."""
    assert next(sensor) is None
    return sensor


@contextmanager
def served(counters: dict[str, int] | None = None) -> Iterator[tuple[Any, int]]:
    """A text sensor that serves lines, and its port."""
    port = parts.free_port()
    with opened(f"tcp://127.0.0.1:{port}", counters) as sensor:
        yield started(sensor), port


def client(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_two_clients_speak_at_once() -> None:
    with served() as (sensor, port), client(port) as first, client(port) as second:
        first.sendall(b"one\nhal")
        second.sendall(b'{"text": "two", "room": "hall"}\n\n')
        assert sorted(said(sensor, 2)) == ["one", "two"]
        first.sendall(b"f\n")
        event = parts.take(sensor, 1)[0]
    assert (event.text, event.seq, event.stream) == ("half", 2, STREAM)
    assert event.t_publish_ns == event.t_capture_ns <= time.monotonic_ns()


def test_a_client_that_closes_ends_its_line_and_others_go_on() -> None:
    with served() as (sensor, port), client(port) as stays:
        with client(port) as goes:
            goes.sendall(b"no newline")
        assert said(sensor, 1) == ["no newline"]
        stays.sendall(b"still here\n")
        assert said(sensor, 1) == ["still here"]


def test_ten_megabytes_without_a_newline_are_skipped() -> None:
    counters: dict[str, int] = {}
    writer = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    writer += "s.sendall(b'x' * 10_000_000 + b'\\nafter\\n')"
    with (
        served(counters) as (sensor, port),
        parts.running(sys.executable, "-c", writer, str(port)),
    ):
        tracemalloc.start()
        try:
            assert said(sensor, 1) == ["after"]
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()
    assert counters["oversized"] == 1


def test_a_broken_connection_counts_what_it_broke_off() -> None:
    counters: dict[str, int] = {}
    with served(counters) as (sensor, port):
        with client(port) as sender:
            sender.sendall(b"whole\nbroken o")
            assert said(sensor, 1) == ["whole"]
            reset_on_close = b"\x01\0\0\0\0\0\0\0"
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        parts.wait_until(lambda: next(sensor) is None and counters["malformed"] == 1)


def test_clients_beyond_the_limit_are_refused_and_counted() -> None:
    counters: dict[str, int] = {}
    with served(counters) as (sensor, port):
        clients = [client(port) for _ in range(MAX_CLIENTS + 1)]
        try:
            parts.wait_until(lambda: next(sensor) is None and counters["refused"] == 1)
            clients[0].sendall(b"hello\n")
            assert said(sensor, 1) == ["hello"]
        finally:
            for one in clients:
                one.close()


def test_a_closed_sensor_frees_its_port() -> None:
    with served() as (_, port), client(port) as sender:
        pass
    assert sender.fileno() == -1
    with opened(f"tcp://127.0.0.1:{port}") as again:
        started(again)


def test_a_port_in_use_is_a_configuration_error() -> None:
    with (
        served() as (_, port),
        opened(f"tcp://127.0.0.1:{port}") as second,
        pytest.raises(ConfigError, match="in use"),
    ):
        next(second)


@pytest.mark.parametrize(
    "source",
    [
        "tcp://0.0.0.0:5999",
        "tcp://*:5999",
        "zmq://192.168.1.2:5999",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:²",
        "udp://127.0.0.1:5999",
        "zmq+ipc:///no/such/folder/text.ipc",
        5,
    ],
)
def test_a_wrong_address_is_a_configuration_error(source: str | int) -> None:
    with opened(source) as sensor, pytest.raises(ConfigError, match=r"^[^\n]+$"):
        next(sensor)


def test_ipv6_loopback_is_served() -> None:
    with opened(f"tcp://[::1]:{parts.free_port()}") as sensor:
        try:
            started(sensor)
        except ConfigError:
            pytest.skip("no IPv6 on this machine")


@contextmanager
def pushing(address: str) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        pusher.linger = 0
        pusher.sndtimeo = 10_000
        pusher.connect(address)
        yield pusher


def test_zeromq_messages_are_events() -> None:
    counters: dict[str, int] = {}
    port = parts.free_port()
    with (
        opened(f"zmq://127.0.0.1:{port}", counters) as sensor,
        pushing(f"tcp://127.0.0.1:{port}") as pusher,
    ):
        started(sensor)
        pusher.send(b"one\n")
        pusher.send(b"x" * (MAX_TEXT_BYTES + 1))
        pusher.send(b"\xff")
        pusher.send_multipart([b"a", b"b"])
        pusher.send(b'{"text": "two"}')
        assert said(sensor, 2) == ["one", "two"]
    assert counters == {"malformed": 2, "oversized": 1, "refused": 0}


def test_zeromq_over_ipc_refuses_huge_messages_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "text.ipc"
    with opened(f"zmq+ipc://{path}") as sensor:
        started(sensor)
        with pushing(f"ipc://{path}") as huge:
            huge.send(b"x" * 10_000_000)
            with pushing(f"ipc://{path}") as pusher:
                pusher.send(b"hello")
                assert said(sensor, 1) == ["hello"]


def test_a_file_is_followed_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_text("old\n")
    with opened(path) as sensor, path.open("a") as writer:
        started(sensor)
        writer.write("new\nunfini")
        writer.flush()
        assert said(sensor, 1) == ["new"]
        writer.write("shed\n")
        writer.flush()
        assert said(sensor, 1) == ["unfinished"]


def test_a_file_that_appears_later_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    with opened(path) as sensor:
        started(sensor)
        path.write_text("first\nsecond\n")
        assert said(sensor, 2) == ["first", "second"]


def test_rotation_and_truncation_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.touch()
    with opened(path) as sensor:
        started(sensor)
        writer = path.open("a")
        writer.write("a\n")
        path.rename(tmp_path / "events.log.1")
        writer.write("written after the rename\n")
        writer.close()
        assert said(sensor, 2) == ["a", "written after the rename"]
        path.write_text("b\n")
        assert said(sensor, 1) == ["b"]
        os.truncate(path, 0)
        assert [next(sensor), next(sensor)] == [None, None]
        path.write_text("c\n")
        assert said(sensor, 1) == ["c"]
        path.unlink()
        assert [next(sensor), next(sensor)] == [None, None]
        path.write_text("d\n")
        assert said(sensor, 1) == ["d"]


def test_what_can_never_be_followed_is_a_configuration_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for source in (tmp_path, pipe, "/dev/null"):
        with opened(source) as sensor, pytest.raises(ConfigError, match="regular file"):
            next(sensor)


READ_STDIN = """
from sensors.text import events
for event in events(Text(source="stdin"), stream="text/events"):
    print(event and event.text, flush=True)
"""


def test_standard_input_is_read_to_its_end() -> None:
    command = [sys.executable, "-c", READ_STDIN]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"None\n"  # alive while nothing is said
        out, _ = child.communicate(b"hello\n\xff\nno newline", timeout=20)
    assert [line for line in out.split() if line != b"None"] == [b"hello", b"no", b"newline"]
    assert child.returncode == 0


def test_a_file_as_standard_input_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\n")
    with path.open() as stdin:
        command = [sys.executable, "-c", READ_STDIN]
        out = subprocess.run(command, stdin=stdin, capture_output=True, check=True).stdout
    assert [line for line in out.split() if line != b"None"] == [b"one", b"two"]
