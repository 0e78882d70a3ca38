"""Lines of bytes from standard input, a followed file, a TCP line server or a ZeroMQ PULL socket.

Each source yields a line without its newline, or None when a round brought nothing more, at least
every `WAIT_S`. No source ever holds more than `MAX_TEXT_BYTES` of one unfinished line.
"""

from __future__ import annotations

import os
import select
import selectors
import socket
import stat
import time
from collections.abc import Generator
from typing import BinaryIO, TypeAlias

import zmq

from pipeline.error import ConfigError, SensorLostError
from sensors.splitter import MAX_TEXT_BYTES, LineSplitter

READ_BYTES = 64 * 1024
WAIT_S = 0.25
FOLLOW_POLL_S = 0.05
MAX_CLIENTS = 32
# Larger messages are refused by ZeroMQ itself, which closes that connection; smaller ones that are
# still too long are counted here.
ZMQ_MAX_MESSAGE_BYTES = 16 * MAX_TEXT_BYTES
ZMQ_HIGH_WATER_MARK = 64
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

STDIN_FD = 0

Lines: TypeAlias = Generator[bytes | None, None, None]


def lines(source: str | int, counters: dict[str, int]) -> Lines:
    """The lines of "stdin", a path, tcp://HOST:PORT, zmq://HOST:PORT or zmq+ipc://PATH.

    Counts `oversized` and `refused`. Raises ConfigError, SensorLostError.
    """
    for name in ("malformed", "oversized", "refused"):
        counters.setdefault(name, 0)
    scheme, mark, rest = str(source).partition("://")
    if isinstance(source, int) or (mark and scheme not in ("tcp", "zmq", "zmq+ipc")):
        raise ConfigError(
            f"{source}: is no source of lines; use stdin, a file, tcp://HOST:PORT,"
            " zmq://HOST:PORT or zmq+ipc://PATH"
        )
    if not mark:
        return _stdin(counters) if source == "stdin" else _followed(source, counters)
    if scheme == "tcp":
        return _served(_loopback(source, rest), counters)
    if scheme == "zmq":
        host, port = _loopback(source, rest)
        return _pulled(f"tcp://{f'[{host}]' if ':' in host else host}:{port}", counters)
    return _pulled(f"ipc://{rest}", counters)


def _stdin(counters: dict[str, int]) -> Lines:
    splitter = LineSplitter(counters)
    while True:
        try:
            ready, _, _ = select.select([STDIN_FD], [], [], WAIT_S)
            data = os.read(STDIN_FD, READ_BYTES) if ready else None
        except OSError as error:
            raise ConfigError(f"stdin: cannot be read: {error.strerror}") from error
        if data == b"":
            yield from splitter.finish()
            return
        yield from splitter.feed(data or b"")
        yield None


def _followed(path: str, counters: dict[str, int]) -> Lines:
    """What is added to a file; all of a file that appears, or comes by rotation, later.

    A file that is cut and has grown to its old size again within FOLLOW_POLL_S looks unchanged.
    """
    splitter = LineSplitter(counters)
    try:
        if file := _open_to_follow(path):
            file.seek(0, os.SEEK_END)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        while True:
            file = file or _open_to_follow(path)
            # Asked before the read: what was written until the rotation is then read whole.
            rotated = file is not None and _rotated(path, file)
            data = file.read(READ_BYTES) if file else b""
            yield from splitter.feed(data)
            if file and not data and (rotated or _truncated(file)):
                yield from splitter.finish()
                file.close()
                file = None
            elif not data:
                time.sleep(FOLLOW_POLL_S)
            yield None
    except OSError as error:
        raise SensorLostError(f"{path}: cannot be followed: {error.strerror}") from error
    finally:
        if file:
            file.close()


def _open_to_follow(path: str) -> BinaryIO | None:
    """The open file, or None as long as there is none. Raises ConfigError, OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ConfigError(f"{path}: is not a regular file; give the file to follow")
    return os.fdopen(fd, "rb", buffering=0)


def _rotated(path: str, file: BinaryIO) -> bool:
    try:
        return not os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _truncated(file: BinaryIO) -> bool:
    return os.fstat(file.fileno()).st_size < file.tell()


def _loopback(source: str, address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"{source}: write it as {source.split('://')[0]}://127.0.0.1:PORT")
    if host not in LOOPBACK:
        raise ConfigError(f"{source}: is open to others; only loopback is supported")
    return host.strip("[]"), int(port)


def _served(address: tuple[str, int], counters: dict[str, int]) -> Lines:
    """A line server for up to `MAX_CLIENTS` at a time; one read for each client in turn."""
    with selectors.DefaultSelector() as selector, _listen(address) as listener:
        selector.register(listener, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in selector.select(WAIT_S):
                    if key.fileobj is listener:
                        _admit(listener, selector, counters)
                    else:
                        yield from _receive(key, selector, counters)
                yield None
        finally:
            for key in selector.get_map().values():
                _socket(key).close()


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        listener = socket.create_server(address, family=family)
    except OSError as error:
        raise ConfigError(
            f"tcp://{address[0]}:{address[1]}: cannot listen: {error.strerror}; choose another port"
        ) from error
    listener.setblocking(False)
    return listener


def _admit(
    listener: socket.socket, selector: selectors.BaseSelector, counters: dict[str, int]
) -> None:
    try:
        client, _ = listener.accept()
    except OSError:  # it hung up first
        return
    if len(selector.get_map()) > MAX_CLIENTS:
        counters["refused"] += 1
        client.close()
        return
    client.setblocking(False)
    selector.register(client, selectors.EVENT_READ, LineSplitter(counters))


def _receive(
    key: selectors.SelectorKey, selector: selectors.BaseSelector, counters: dict[str, int]
) -> list[bytes]:
    """The lines of one read; a client that has gone is closed, a line it broke off is counted."""
    client, splitter = _socket(key), key.data
    assert isinstance(splitter, LineSplitter)
    try:
        if data := client.recv(READ_BYTES):
            return splitter.feed(data)
        last = splitter.finish()
    except BlockingIOError:
        return []
    except OSError:
        counters["malformed"] += len(splitter.finish())
        last = []
    selector.unregister(client)
    client.close()
    return last


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


def _pulled(endpoint: str, counters: dict[str, int]) -> Lines:
    """One line a message."""
    with zmq.Context() as context, context.socket(zmq.PULL) as puller:
        puller.maxmsgsize = ZMQ_MAX_MESSAGE_BYTES
        puller.rcvhwm = ZMQ_HIGH_WATER_MARK
        puller.linger = 0
        puller.ipv6 = "[" in endpoint
        try:
            puller.bind(endpoint)
        except zmq.ZMQError as error:
            raise ConfigError(f"{endpoint}: cannot be bound: {error.strerror}") from error
        while True:
            if puller.poll(int(WAIT_S * 1000)):
                parts = puller.recv_multipart()
                if len(parts) > 1:
                    counters["malformed"] += 1
                elif len(parts[0]) > MAX_TEXT_BYTES:
                    counters["oversized"] += 1
                else:
                    yield parts[0]
            yield None
