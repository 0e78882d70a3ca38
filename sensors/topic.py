"""Messages of an MQTT topic, as the lines of a text or readings stream."""

from __future__ import annotations

from collections import deque
from typing import Any

from pipeline.broker import KEEPALIVE_S, make_client, parse_url
from pipeline.error import SensorLostError
from pipeline.sample import MAX_TEXT_BYTES
from pipeline.stream import Readings, Text
from sensors.splitter import WAIT_S, Lines


class Listening:
    """What the client hears; it is called in our own thread."""

    def __init__(self, topic: str, counters: dict[str, int]) -> None:
        self._topic, self._counters = topic, counters
        self.arrived: deque[bytes] = deque()
        self.refused = ""

    def connected(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        """Subscribe, at each connection."""
        if reason.is_failure:
            self.refused = str(reason)
        else:
            client.subscribe(self._topic, qos=1)

    def subscribed(self, _: Any, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        """Note a broker that does not let us read."""
        if any(reason.is_failure for reason in reasons):
            self.refused = f"{self._topic} may not be read"

    def heard(self, _: Any, __: Any, message: Any) -> None:
        """Keep a message. One that the broker has kept for us is old, nobody knows how old."""
        if message.retain:
            self._counters["retained"] += 1
        elif len(message.payload) > MAX_TEXT_BYTES:
            self._counters["oversized"] += 1
        else:
            self.arrived.append(message.payload)


def messages(line: Text | Readings, counters: dict[str, int]) -> Lines:
    """The payloads published to the topic from now on. Counts `retained` and `oversized`.

    Raises ConfigError, SensorLostError.
    """
    for name in ("malformed", "oversized", "retained"):
        counters.setdefault(name, 0)
    login, topic = parse_url(line)
    client, listening = make_client(login), Listening(topic, counters)
    client.on_connect, client.on_subscribe = listening.connected, listening.subscribed
    client.on_message = listening.heard
    where = f"{login.host}:{login.port}"
    try:
        client.connect(login.host, login.port, keepalive=KEEPALIVE_S)
    except OSError as error:
        raise SensorLostError(f"no broker answers at {where}: {error}") from error
    try:
        while True:
            outcome = client.loop(WAIT_S)
            while listening.arrived:
                yield listening.arrived.popleft()
            if listening.refused:
                raise SensorLostError(f"the broker at {where} refuses: {listening.refused}")
            if outcome:
                raise SensorLostError(f"the broker at {where} is gone: {outcome.name}")
            yield None
    finally:
        client.disconnect()
