"""Lines of bytes from standard input, a followed file, a TCP line server or a ZeroMQ PULL socket.

Each source yields a line without its newline, or None when a round brought nothing more, at least
every `WAIT_S`. No source ever holds more than `MAX_TEXT_BYTES` of one unfinished line.
"""

from __future__ import annotations

import difflib
import logging
import os
import select
import stat
import time
from typing import BinaryIO

from pipeline.broker import is_broker
from pipeline.error import ConfigError, SensorLostError
from pipeline.stream import Readings, Text
from sensors.listener import pulled, served
from sensors.splitter import READ_BYTES, WAIT_S, Lines, LineSplitter

FOLLOW_POLL_S = 0.05
LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "[::1]": "::1"}
STDIN_FD = 0

log = logging.getLogger(__name__)


def lines_of(line: Text | Readings, counters: dict[str, int]) -> Lines:
    """The lines of a stream's source. Raises ConfigError, SensorLostError."""
    if is_broker(line.source):
        from sensors.topic import messages

        return messages(line, counters)
    return lines(line.source, counters)


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
            " zmq://HOST:PORT, zmq+ipc://PATH or mqtt://HOST:PORT/TOPIC"
        )
    if not mark:
        return _stdin(counters) if source == "stdin" else _followed(source, counters)
    if scheme == "tcp":
        return served(_loopback(source, rest), counters)
    if scheme == "zmq":
        host, port = _loopback(source, rest)
        return pulled(f"tcp://{f'[{host}]' if ':' in host else host}:{port}", counters)
    return pulled(f"ipc://{rest}", counters)


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
        else:
            _expect(path)
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


def _expect(path: str) -> None:
    """Say that a file is waited for. Raises ConfigError where it can hardly be meant."""
    folder, name = os.path.split(path)
    if not folder and difflib.get_close_matches(name.lower(), ["stdin"]):
        raise ConfigError(f"{path}: there is no such file; did you mean stdin?")
    if not os.path.isdir(folder or "."):
        raise ConfigError(f"{path}: cannot be followed: there is no folder {folder}")
    log.warning("%s: does not exist yet; waiting for it to appear", path)


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
    return LOOPBACK[host], int(port)
