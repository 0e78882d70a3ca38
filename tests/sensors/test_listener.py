"""Lines from TCP clients and from ZeroMQ."""

from __future__ import annotations

import socket
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import zmq

from pipeline.error import ConfigError
from sensors.lines import Lines, lines
from sensors.listener import MAX_CLIENTS
from sensors.splitter import MAX_TEXT_BYTES
from tests import parts


@contextmanager
def opened(source: str, counters: dict[str, int] | None = None) -> Iterator[Lines]:
    """The lines of a source."""
    with closing(lines(source, {} if counters is None else counters)) as opened_lines:
        yield opened_lines


def said(source: Lines, n: int) -> list[str]:
    return [line.decode() for line in parts.take(source, n)]


def started(source: Lines) -> Lines:
    """Pull once, so that the source is open."""
    assert next(source) is None
    return source


@contextmanager
def served(counters: dict[str, int] | None = None) -> Iterator[tuple[Lines, int]]:
    """A line server, and its port."""
    port = parts.free_port()
    with opened(f"tcp://127.0.0.1:{port}", counters) as source:
        yield started(source), port


def client(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_two_clients_speak_at_once() -> None:
    with served() as (source, port), client(port) as first, client(port) as second:
        first.sendall(b"one\nhal")
        second.sendall(b"two\n")
        assert sorted(said(source, 2)) == ["one", "two"]
        first.sendall(b"f\n")
        assert said(source, 1) == ["half"]


def test_a_client_that_closes_ends_its_line_and_others_go_on() -> None:
    with served() as (source, port), client(port) as stays:
        with client(port) as goes:
            goes.sendall(b"no newline")
        assert said(source, 1) == ["no newline"]
        stays.sendall(b"still here\n")
        assert said(source, 1) == ["still here"]


def test_ten_megabytes_without_a_newline_are_skipped() -> None:
    counters: dict[str, int] = {}
    writer = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    writer += "s.sendall(b'x' * 10_000_000 + b'\\nafter\\n')"
    with (
        served(counters) as (source, port),
        parts.running(sys.executable, "-c", writer, str(port)),
    ):
        tracemalloc.start()
        try:
            assert said(source, 1) == ["after"]
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()
    assert counters["oversized"] == 1


def test_a_broken_connection_counts_what_it_broke_off() -> None:
    counters: dict[str, int] = {}
    with served(counters) as (source, port):
        with client(port) as sender:
            sender.sendall(b"whole\nbroken o")
            assert said(source, 1) == ["whole"]
            reset_on_close = b"\x01\0\0\0\0\0\0\0"
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        parts.wait_until(lambda: next(source) is None and counters["malformed"] == 1)


def test_clients_beyond_the_limit_are_refused_and_counted() -> None:
    counters: dict[str, int] = {}
    with served(counters) as (source, port):
        clients = [client(port) for _ in range(MAX_CLIENTS + 1)]
        try:
            parts.wait_until(lambda: next(source) is None and counters["refused"] == 1)
            clients[0].sendall(b"hello\n")
            assert said(source, 1) == ["hello"]
        finally:
            for one in clients:
                one.close()


def test_a_closed_source_frees_its_port() -> None:
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


def test_ipv6_loopback_is_served_where_there_is_any() -> None:
    port = parts.free_port()
    try:
        socket.create_server(("::1", port), family=socket.AF_INET6).close()
    except OSError:
        with opened(f"tcp://[::1]:{port}") as source, pytest.raises(ConfigError):
            next(source)
        return
    with opened(f"tcp://[::1]:{port}") as source:
        started(source)
        with socket.create_connection(("::1", port), timeout=10) as sender:
            sender.sendall(b"hello\n")
            assert said(source, 1) == ["hello"]


@contextmanager
def pushing(address: str) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        pusher.linger = 0
        pusher.sndtimeo = 10_000
        pusher.connect(address)
        yield pusher


def test_a_zeromq_message_is_a_line() -> None:
    counters: dict[str, int] = {}
    port = parts.free_port()
    with (
        opened(f"zmq://127.0.0.1:{port}", counters) as source,
        pushing(f"tcp://127.0.0.1:{port}") as pusher,
    ):
        started(source)
        pusher.send(b"one\n")
        pusher.send(b"x" * (MAX_TEXT_BYTES + 1))
        pusher.send_multipart([b"a", b"b"])
        pusher.send(b"two")
        assert said(source, 2) == ["one\n", "two"]
    assert counters == {"malformed": 1, "oversized": 1, "refused": 0}


def test_zeromq_over_ipc_refuses_huge_messages_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "text.ipc"
    with opened(f"zmq+ipc://{path}") as source:
        started(source)
        with pushing(f"ipc://{path}") as huge:
            huge.send(b"x" * 10_000_000)
            with pushing(f"ipc://{path}") as pusher:
                pusher.send(b"hello")
                assert said(source, 1) == ["hello"]
