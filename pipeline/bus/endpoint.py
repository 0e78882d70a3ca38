"""Endpoints: on this host they are free; beyond it they need keys, or a word that says insecure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.stream import Remote, Stream

# A unix socket path holds 108 bytes with its closing zero (man 7 unix).
IPC_PATH_LIMIT_BYTES = 107
MAX_PORT = 65_535
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85, ZeroMQ RFC 32


def is_loopback(endpoint: str) -> bool:
    """Whether only this host reaches an endpoint."""
    scheme, _, address = endpoint.partition("://")
    return scheme == "ipc" or address.rpartition(":")[0] in LOOPBACK


def port_of(endpoint: str) -> int:
    """The port of a TCP endpoint that ends in digits."""
    return int(endpoint.rpartition(":")[2])


def warnings(config: Config) -> Iterator[str]:
    """What a run says at its start of each endpoint that is open to others."""
    for stream, line in config.streams.items():
        for side in (line, line.remote):
            if side is not None and side.insecure and not is_loopback(side.endpoint):
                yield f"{stream}: {side.endpoint} is neither private nor safe: insecure = true"


def clock_endpoint(endpoint: str) -> str:
    """Where the clock of the relay at a TCP endpoint answers: the next port."""
    address, _, port = endpoint.rpartition(":")
    return f"{address}:{int(port) + 1}"


def check_endpoints(config: Config, place: str) -> None:
    """Raise ConfigError where an endpoint is malformed, open to others, or claimed twice."""
    for stream, line in config.streams.items():
        if line.is_remote:
            _check_remote_source(line, f"{place}: {stream}")
        elif line.server_key or line.insecure:
            raise ConfigError(
                f'{place}: {stream}: server_key and insecure are for source = "remote"; to hand'
                " the stream to other hosts, give it a table `remote`"
            )
        else:
            _check_local(config.endpoint(stream), f"{place}: {stream}")
        if line.remote is not None:
            _check_relay(stream, line.remote, f"{place}: {stream}.remote")
            _check_local(config.relay_endpoint(stream), f"{place}: {stream}.remote")
    _check_local(config.predictions_endpoint, f"{place}: out")
    _check_local(config.control_endpoint, f"{place}: control")
    owners: dict[str, str] = {}
    for owner, endpoint in _claims(config):
        if endpoint in owners:
            raise ConfigError(f"{place}: {owner} and {owners[endpoint]} both claim {endpoint}")
        owners[endpoint] = owner


def _check_remote_source(line: Stream, place: str) -> None:
    keys = [line.server_key] if line.server_key else []
    _check_tcp(line.endpoint, keys, line.insecure, place)
    if line.remote is not None:
        raise ConfigError(f"{place}: a stream of another host is not handed on to a third")


def _check_relay(stream: str, remote: Remote, place: str) -> None:
    _check_tcp(remote.endpoint, remote.allow, remote.insecure, place)
    if remote.jpeg_quality is not None and not stream.startswith("camera/"):
        raise ConfigError(f"{place}: jpeg_quality is for cameras")


def _claims(config: Config) -> Iterator[tuple[str, str]]:
    """(whose, endpoint) of all that a run binds, and of the relays that it reads."""
    for stream, line in config.streams.items():
        yield stream, config.endpoint(stream)
        if line.is_remote:
            yield f"{stream} (clock)", clock_endpoint(line.endpoint)
        if line.remote is not None:
            yield f"{stream}.remote (health)", config.relay_endpoint(stream)
            yield f"{stream}.remote", line.remote.endpoint
            yield f"{stream}.remote (clock)", clock_endpoint(line.remote.endpoint)
    yield "out", config.predictions_endpoint
    yield "control", config.control_endpoint
    yield "recorder", config.recorder_endpoint
    yield "home", config.home_endpoint
    yield "metrics", config.metrics_endpoint


def _check_local(endpoint: str, place: str) -> None:
    """Raise ConfigError unless an endpoint is one that only this host reaches."""
    scheme, _, address = endpoint.partition("://")
    if scheme == "ipc":
        if (size := len(address.encode())) > IPC_PATH_LIMIT_BYTES:
            raise ConfigError(
                f"{place}: {endpoint} has {size} bytes, a socket path holds {IPC_PATH_LIMIT_BYTES};"
                " set a shorter run_dir"
            )
    elif scheme != "tcp":
        raise ConfigError(f"{place}: {endpoint}: an endpoint starts with ipc:// or tcp://")
    elif not is_loopback(endpoint):
        raise ConfigError(
            f"{place}: {endpoint} is open to others; only loopback is supported here;"
            " a stream has a table `remote` for other hosts"
        )
    elif not address.rpartition(":")[2].isdecimal() or not 0 < port_of(endpoint) <= MAX_PORT:
        raise ConfigError(f"{place}: {endpoint}: write it as tcp://127.0.0.1:PORT")


def _check_tcp(endpoint: str, keys: Sequence[str], insecure: bool, place: str) -> None:
    """Raise ConfigError unless a TCP endpoint has two ports, and keys where it needs them."""
    scheme, _, address = endpoint.partition("://")
    port = address.rpartition(":")[2]
    if scheme != "tcp" or not port.isdecimal() or not 0 < int(port) < MAX_PORT:
        raise ConfigError(
            f"{place}: {endpoint!r}: write it as tcp://HOST:PORT, PORT below {MAX_PORT}:"
            " the next one is for the clock"
        )
    for key in keys:
        if not _KEY.fullmatch(key):
            raise ConfigError(
                f"{place}: {key!r} is no public key: 40 characters, as `sensorium keys` prints it"
            )
    if keys and insecure:
        raise ConfigError(f"{place}: either keys or insecure = true, not both")
    if not keys and not insecure and not is_loopback(endpoint):
        raise ConfigError(
            f"{place}: {endpoint} is open to others: name the public keys of the other side, as"
            " `sensorium keys` prints them there, or set insecure = true"
        )
