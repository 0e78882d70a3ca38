"""TCP sockets between hosts: keys, heartbeats, and whether the other side is there."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import zmq

from pipeline.bus.key import read_key
from pipeline.error import BusError

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

log = logging.getLogger(__name__)

Options: TypeAlias = "Mapping[zmq.SocketOption, int | bytes]"
Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
Socket: TypeAlias = "zmq.Socket[bytes]"

ZAP_DOMAIN = "sensorium"
SECOND_NS = 1_000_000_000
# A peer that is silent for 0.9 s is gone; a connection that does not come about is tried anew.
HEARTBEATS: Options = {
    zmq.HEARTBEAT_IVL: 300,
    zmq.HEARTBEAT_TIMEOUT: 900,
    zmq.HANDSHAKE_IVL: 2000,
    zmq.LINGER: 0,
}
RECONNECTS: Options = {
    zmq.CONNECT_TIMEOUT: 1000,
    zmq.RECONNECT_IVL: 100,
    zmq.RECONNECT_IVL_MAX: 1000,
}
REFUSED = zmq.Event.HANDSHAKE_FAILED_AUTH | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
FAILED = REFUSED | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL  # who has hung up in the middle of it
_EVENT = struct.Struct("=Hi")
EVENTS = FAILED | zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED


def client_keys(server_key: str) -> Options:
    """The options of a client of a CURVE server; none without a key. Raises ConfigError."""
    if not server_key:
        return {}
    own = read_key()
    return {
        zmq.CURVE_SERVERKEY: server_key.encode(),
        zmq.CURVE_PUBLICKEY: own.public,
        zmq.CURVE_SECRETKEY: own.secret,
    }


class Throttle:
    """Says yes at most once a second."""

    def __init__(self) -> None:
        self._next_ns = 0

    def __call__(self) -> bool:
        now_ns = time.monotonic_ns()
        if now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + SECOND_NS
        return True


class Gate:
    """Lets in the clients whose public key is listed, and nobody else; without keys, anybody.

    CURVE alone only encrypts: a server without an authenticator admits every key. So the domain
    is enforced, which refuses all while no authenticator runs.
    """

    def __init__(self, context: Context, allow: Iterable[str]) -> None:
        self._allow = frozenset(key.encode() for key in allow)
        self._may_log = Throttle()
        self._authenticator: ThreadAuthenticator | None = None
        self.options: Options = {}
        if not self._allow:
            return
        self.options = {
            zmq.CURVE_SERVER: 1,
            zmq.CURVE_SECRETKEY: read_key().secret,
            zmq.ZAP_DOMAIN: ZAP_DOMAIN.encode(),
            zmq.ZAP_ENFORCE_DOMAIN: 1,
        }
        # It brings asyncio along, which nobody pays for who has no keys.
        from zmq.auth.thread import ThreadAuthenticator

        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(ZAP_DOMAIN, self)

    def callback(self, _: str, key: bytes) -> bool:
        """Whether a public key is listed; it comes as Z85 text. Called by the authenticator."""
        if key in self._allow:
            return True
        if self._may_log():
            log.warning("refused a peer: its key is not in `allow`: %s", key.decode())
        return False

    def close(self) -> None:
        """Stop the authenticator, once no socket needs it."""
        if self._authenticator is not None:
            self._authenticator.stop()


class Listener:
    """A socket that other hosts connect to; `n_refused` counts the attempts that failed."""

    def __init__(self, context: Context, kind: int, endpoint: str, options: Options) -> None:
        self.n_refused = 0
        self._may_log = Throttle()
        self.socket, self.monitor = _socket(context, kind, options)
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise BusError(f"{endpoint}: cannot be bound: {error}") from error

    def update(self) -> None:
        """Count what was refused since the last call."""
        for event in _events(self.monitor):
            self.n_refused += event in FAILED
            if event in FAILED ^ zmq.Event.HANDSHAKE_FAILED_AUTH and self._may_log():
                log.warning("refused a peer: it has no server_key, a wrong one, or hung up")


class Connection:
    """A socket that connects to one endpoint; `state` is connected, disconnected or refused.

    `n_losses` counts the connections that were lost. ZeroMQ gives up for good on a peer that
    refused it once; here it is asked again.
    """

    def __init__(self, context: Context, kind: int, endpoint: str, options: Options) -> None:
        self.state, self.n_losses = "disconnected", 0
        self._endpoint, self._retry_ns = endpoint, 0
        self.socket, self.monitor = _socket(context, kind, {**RECONNECTS, **options})
        self.socket.connect(endpoint)

    def update(self) -> None:
        """Bring the state up to date, and ask a peer again that refused."""
        for event in _events(self.monitor):
            if event == zmq.Event.HANDSHAKE_SUCCEEDED:
                self.state = "connected"
            elif event in REFUSED:
                self.state, self._retry_ns = "refused", time.monotonic_ns() + SECOND_NS
            elif self.state == "connected":
                self.state, self.n_losses = "disconnected", self.n_losses + 1
        if self.state == "refused" and time.monotonic_ns() >= self._retry_ns:
            self._retry_ns += SECOND_NS
            with suppress(zmq.ZMQError):  # it has let go of the endpoint by itself
                self.socket.disconnect(self._endpoint)
            self.socket.connect(self._endpoint)


def _socket(context: Context, kind: int, options: Options) -> tuple[Socket, Socket]:
    """A socket with its options, which must be set before it binds or connects; its monitor."""
    socket = context.socket(kind)
    for option, value in {**HEARTBEATS, **options}.items():
        socket.setsockopt(option, value)
    return socket, socket.get_monitor_socket(EVENTS)


def _events(monitor: Socket) -> Iterator[zmq.Event]:
    while monitor.poll(0):
        # libzmq: a number of 16 bits and a value of 32 bits, then the address (zmq_socket_monitor).
        yield zmq.Event(_EVENT.unpack(monitor.recv_multipart()[0])[0])
