"""The keys of everything that leaves a run: predictions, events, commands, metrics."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

Seconds: TypeAlias = Annotated[float, Meta(gt=0)]
SecondsOrNone: TypeAlias = Annotated[float, Meta(ge=0)]
Score: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65_535)]
EventName: TypeAlias = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
Phase: TypeAlias = Literal["start", "end"]


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach an MQTT broker. The file holds the password alone; `ca_file` those to trust."""

    host: str
    port: Port
    tls: bool = False
    user: str = ""
    password_file: str = ""
    ca_file: str = ""


class Mqtt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [out.mqtt]. `discovery` is Home Assistant's prefix; "" for none."""

    host: str
    port: Port | None = None
    tls: bool = False
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    base_topic: str = ""
    discovery: str = "homeassistant"
    expire_after_s: Annotated[int, Meta(ge=2, le=86_400)] = 30
    state_hz: Annotated[float, Meta(gt=0, le=50)] = 1.0
    queue: Annotated[int, Meta(ge=1, le=100_000)] = 1000

    @property
    def login(self) -> Login:
        """How to reach the broker; the port is that which the protocol is known for."""
        return Login(
            host=self.host,
            port=self.port or (8883 if self.tls else 1883),
            tls=self.tls,
            user=self.user,
            password_file=self.password_file,
            ca_file=self.ca_file,
        )


class Prometheus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [out.prometheus]: where a Prometheus server may scrape."""

    listen: str = "127.0.0.1:9464"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`, which was checked."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class Out(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where predictions go, besides the predictions endpoint, which is always there."""

    jsonl: str = ""
    endpoint: str = ""
    mqtt: Mqtt | None = None
    prometheus: Prometheus | None = None


class EventRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [[event]]: pipeline.event.rule says what the scores and times mean."""

    name: EventName
    label: str
    enter: Score = 0.8
    leave: Score = 0.5
    min_duration_s: SecondsOrNone = 0.5
    cool_down_s: SecondsOrNone = 10.0


class Action(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [[action]]: the command that an event sends, to an MQTT topic or a ZeroMQ endpoint."""

    event: str
    on: Phase = "start"
    enabled: bool = False
    topic: str = ""
    endpoint: str = ""
    payload: str | dict[str, Any] = "$phase"
    qos: Annotated[int, Meta(ge=0, le=1)] = 1
    min_interval_s: Seconds = 5.0
