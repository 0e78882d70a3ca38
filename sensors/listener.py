"""Lines that others send: a TCP line server, and a ZeroMQ PULL socket."""

from __future__ import annotations

import selectors
import socket

import zmq

from pipeline.error import ConfigError
from sensors.splitter import MAX_TEXT_BYTES, READ_BYTES, WAIT_S, Lines, LineSplitter

MAX_CLIENTS = 32
# Larger messages are refused by ZeroMQ itself, which closes that connection; smaller ones that are
# still too long are counted here.
ZMQ_MAX_MESSAGE_BYTES = 16 * MAX_TEXT_BYTES
ZMQ_HIGH_WATER_MARK = 64


def served(address: tuple[str, int], counters: dict[str, int]) -> Lines:
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


def pulled(endpoint: str, counters: dict[str, int]) -> Lines:
    """One line a message of a PULL socket bound to a ZeroMQ endpoint."""
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
