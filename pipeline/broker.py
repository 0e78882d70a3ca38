"""The connection to an MQTT broker: its address, its secret, and a client that keeps at it."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.error import ConfigError
from pipeline.outlet import Login
from pipeline.stream import Readings, Text

if TYPE_CHECKING:
    from paho.mqtt.client import Client

KEEPALIVE_S = 15  # a broker that is cut off is noticed after one and a half of it
CONNECT_S = 5.0
FIRST_RETRY_S = 1
LAST_RETRY_S = 4  # a broker is local: one that is back is to be found soon
MAX_PASSWORD_BYTES = 65_535
_URL = re.compile(r"(mqtts?)://(\[[0-9a-fA-F:]+\]|[^/:\[\]@]+)(?::([0-9]{1,5}))?/(.+)")
_FILTER = re.compile(r"(?:(?:[^+#\x00/]*|\+)/)*(?:[^+#\x00/]*|\+|#)")


def is_broker(source: str | int) -> bool:
    """Whether a source is a topic of a broker."""
    return str(source).startswith(("mqtt://", "mqtts://"))


def parse_url(line: Text | Readings) -> tuple[Login, str]:
    """The login and the topic filter of mqtt://HOST:PORT/FILTER. Raises ConfigError."""
    found = _URL.fullmatch(str(line.source))
    if not found or not _FILTER.fullmatch(found[4]) or not 0 < int(found[3] or 1) < 65_536:
        raise ConfigError(f"{line.source}: write it as mqtt://HOST:1883/TOPIC, as mqtt://hub/a/#")
    tls = found[1] == "mqtts"
    if line.ca_file and not tls:
        raise ConfigError(f"{line.source}: ca_file needs mqtts://")
    if line.password_file and not line.user:
        raise ConfigError(f"{line.source}: password_file needs user")
    login = Login(
        host=found[2].strip("[]"),
        port=int(found[3] or (8883 if tls else 1883)),
        tls=tls,
        user=line.user,
        password_file=line.password_file,
        ca_file=line.ca_file,
    )
    return login, found[4]


def read_password(login: Login) -> str | None:
    """The password, or None where there is none. Raises ConfigError."""
    if not login.password_file:
        return None
    path = Path(login.password_file)
    try:
        status, secret = path.stat(), path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the MQTT password cannot be read: {error}") from error
    if status.st_mode & 0o077:
        raise ConfigError(f"{path}: others may read this password; run `chmod 600 {path}`")
    if not secret or len(secret.encode()) > MAX_PASSWORD_BYTES:
        raise ConfigError(f"{path}: holds no password")
    return secret


def trust(login: Login) -> ssl.SSLContext:
    """Whose certificates are believed: those of `ca_file` or the system's. Raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=login.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ca_file {login.ca_file}: cannot be used: {error}") from error


def make_client(login: Login) -> Client:
    """A client that is not connected yet. Raises ConfigError."""
    try:
        from paho.mqtt import client as paho
    except ImportError as error:
        raise ConfigError("MQTT needs a library: pip install 'sensorium[mqtt]'") from error
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if login.user:
        client.username_pw_set(login.user, read_password(login))
    if login.tls:
        client.tls_set_context(trust(login))
    client.on_socket_open = _send_at_once
    client.connect_timeout = CONNECT_S
    client.reconnect_delay_set(FIRST_RETRY_S, LAST_RETRY_S)
    return client


def _send_at_once(_: Any, __: Any, connection: Any) -> None:
    """Nagle's wait for the broker's delayed acknowledgement costs 40 ms a message."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keep_connected(client: Client, login: Login) -> threading.Thread:
    """A thread that connects, and again whenever the connection is lost, until disconnected."""
    client.connect_async(login.host, login.port, keepalive=KEEPALIVE_S)
    # The client must start its thread by itself: only then it alone writes to the connection.
    others = threading.enumerate()
    client.loop_start()
    return next(thread for thread in threading.enumerate() if thread not in others)
