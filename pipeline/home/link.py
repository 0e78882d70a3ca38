"""The link to the broker: a client whose thread connects, and what this process says over it."""

from __future__ import annotations

from typing import Any

from pipeline.broker import keep_connected, make_client
from pipeline.error import BusError
from pipeline.home.outbox import Message, Outbox
from pipeline.outlet import Mqtt

ONLINE, OFFLINE = b"online", b"offline"
CLOSE_S = 0.5


class Link:
    """Speaks to one broker. The client's thread only notes what happened; all is said from ours.

    The broker itself says `offline` at the topic `availability` when this process is gone.
    """

    def __init__(self, keys: Mqtt, availability: str) -> None:
        """Raises ConfigError."""
        self._keys, self._availability = keys, availability
        self._status = f"{keys.discovery}/status" if keys.discovery else ""
        self._client = make_client(keys.login)
        self._client.will_set(availability, OFFLINE, qos=1, retain=True)
        self._outbox = Outbox(keys.queue, self._send)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_connect_fail = self._failed
        self._client.on_message = self._heard
        self._client.on_publish = self._published
        self._n_connected = self._n_greeted = 0
        self._asked = False
        self.n_states = self.n_states_unsent = 0
        self.last_error = ""
        self._thread = keep_connected(self._client, keys.login)

    @property
    def connected(self) -> bool:
        """Whether the broker answers, as far as is known."""
        return self._client.is_connected()

    def take_new(self) -> bool:
        """Whether all must be said again: a new connection, or Home Assistant has started."""
        new = self._asked or self._n_connected != self._n_greeted
        if not (new and self.connected):
            return False
        self._asked, self._n_greeted = False, self._n_connected
        return True

    def keep(self, topic: str, payload: bytes) -> None:
        """Say what the broker is to keep; it is said again with each connection."""
        if self.connected:
            self._client.publish(topic, payload, qos=1, retain=True)

    def state(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say what will be said again soon: at most once, and not at all without a connection."""
        if self.connected and not self._client.publish(topic, payload, retain=retain).rc:
            self.n_states += 1
        else:
            self.n_states_unsent += 1

    def promise(self, topic: str, payload: bytes) -> None:
        """Say what must arrive: it waits for the broker."""
        self._outbox.put((topic, payload))

    def command(self, topic: str, payload: bytes, qos: int) -> bool:
        """Say it now or never: whether there is a connection."""
        return self.connected and not self._client.publish(topic, payload, qos=qos).rc

    def step(self) -> None:
        """Send what waits. Raises BusError where the client's thread has died."""
        self._outbox.step(self.connected)
        if not self._thread.is_alive():
            raise BusError("the MQTT client has ended by itself")

    @property
    def unacknowledged(self) -> int:
        """How many promised messages the broker has not acknowledged."""
        return len(self._outbox)

    def counters(self) -> dict[str, int]:
        """What was said; `mqtt.waiting` is what the broker has not acknowledged yet."""
        return {
            "mqtt.connected": int(self.connected),
            "mqtt.connections": self._n_connected,
            "mqtt.acknowledged": self._outbox.n_acknowledged,
            "mqtt.waiting": len(self._outbox),
            "mqtt.dropped": self._outbox.n_dropped,
            "mqtt.states": self.n_states,
            "mqtt.states_unsent": self.n_states_unsent,
        }

    def close(self) -> None:
        """Say that we are going, and go."""
        if self.connected:
            self._client.publish(self._availability, OFFLINE, qos=1, retain=True).wait_for_publish(
                CLOSE_S
            )
        self._client.disconnect()
        self._thread.join(CLOSE_S)

    def _send(self, message: Message) -> int | None:
        made = self._client.publish(*message, qos=1)
        # Without a connection it waits in the client, which sends it first in the next one.
        return made.mid if made.rc in (0, _no_connection()) else None

    def _connected(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self.last_error = f"the broker refuses: {reason}"
            return
        if self._status:
            client.subscribe(self._status, qos=1)
        self.last_error = ""
        self._n_connected += 1

    def _disconnected(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self.last_error = self.last_error or f"the connection to the broker was lost: {reason}"

    def _failed(self, _: Any, __: Any) -> None:
        login = self._keys.login
        self.last_error = f"no broker answers at {login.host}:{login.port}"

    def _heard(self, _: Any, __: Any, message: Any) -> None:
        self._asked = self._asked or message.payload == ONLINE

    def _published(self, _: Any, __: Any, message_id: int, ___: Any, ____: Any) -> None:
        self._outbox.acknowledge(message_id)


def _no_connection() -> int:
    from paho.mqtt.enums import MQTTErrorCode

    return int(MQTTErrorCode.MQTT_ERR_NO_CONN)
