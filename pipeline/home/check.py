"""What can be wrong with the keys of outlets, events and actions, said before anything starts."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Collection, Iterator

from engines.bundle import find_bundle, read_manifest
from pipeline.broker import is_broker, parse_url, read_password, trust
from pipeline.bus.endpoint import LOOPBACK, is_loopback
from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.home.template import check_payload
from pipeline.outlet import Action, Login, Mqtt
from pipeline.stream import Readings, Text

MAX_TOPIC_BYTES = 1024
_LISTEN = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]+):([0-9]{1,5})")


def check_outlets(config: Config, place: str) -> None:
    """Raise ConfigError where keys do not fit together; `place` is the file."""
    _check_rules(config, place)
    for number, action in enumerate(config.action):
        _check_action(config, action, f"{place}: action[{number}]")
    if mqtt := config.out.mqtt:
        _check_mqtt(mqtt, f"{place}: out.mqtt")
    if prometheus := config.out.prometheus:
        found = _LISTEN.fullmatch(prometheus.listen)
        if not found or not 0 < int(found[2]) < 65_536:
            raise ConfigError(f'{place}: out.prometheus.listen: write it as "127.0.0.1:9464"')
    for stream, line in config.streams.items():
        if isinstance(line, (Text, Readings)):
            _check_source(line, f"{place}: {stream}")


def check_start(config: Config) -> None:
    """Raise ConfigError where a rule's label, a library or a password is missing on this host."""
    if config.event:
        known = read_manifest(find_bundle(config.fusion.bundle)).labels
        for rule in config.event:
            if rule.label not in known:
                near = _near(rule.label, known)
                raise ConfigError(
                    f"event {rule.name}: no label `{rule.label}`; did you mean {near}"
                )
    logins = [login for _, login in _logins(config)]
    if logins and importlib.util.find_spec("paho") is None:
        raise ConfigError("MQTT needs a library: pip install 'sensorium[mqtt]'")
    for login in logins:
        read_password(login)
        if login.tls:
            trust(login)
    if config.out.prometheus and importlib.util.find_spec("prometheus_client") is None:
        raise ConfigError("out.prometheus needs a library: pip install 'sensorium[prometheus]'")


def outlet_warnings(config: Config) -> Iterator[str]:
    """What a run says at its start of each connection that others can read or reach."""
    for who, login in _logins(config):
        if not login.tls and login.host not in (*LOOPBACK, "::1"):
            secret = " and sends its password in the clear" if login.password_file else ""
            yield f"{who}: MQTT to {login.host} is neither private nor safe{secret}: use TLS"
    prometheus = config.out.prometheus
    if prometheus and not is_loopback(f"tcp://{prometheus.listen}"):
        yield f"out.prometheus: {prometheus.listen} is open to others"


def _logins(config: Config) -> Iterator[tuple[str, Login]]:
    """(whose, login) of all that connects to a broker."""
    if config.out.mqtt:
        yield "out.mqtt", config.out.mqtt.login
    for stream, line in config.sensors.items():
        if isinstance(line, (Text, Readings)) and is_broker(line.source):
            yield stream, parse_url(line)[0]


def _check_rules(config: Config, place: str) -> None:
    names = [rule.name for rule in config.event]
    for number, rule in enumerate(config.event):
        if rule.leave > rule.enter:
            raise ConfigError(f"{place}: event[{number}].leave: is above enter")
        if names.index(rule.name) != number:
            raise ConfigError(f"{place}: event[{number}].name: there are two of {rule.name}")


def _check_action(config: Config, action: Action, place: str) -> None:
    names = [rule.name for rule in config.event]
    if action.event not in names:
        near = _near(action.event, names) if names else "one? add a table [[event]]"
        raise ConfigError(f"{place}.event: no event `{action.event}`; did you mean {near}")
    if bool(action.topic) == bool(action.endpoint):
        raise ConfigError(f"{place}: give it either a topic (MQTT) or an endpoint (ZeroMQ)")
    if action.topic:
        _check_topic(action.topic, f"{place}.topic")
        if config.out.mqtt is None:
            raise ConfigError(f"{place}.topic: needs a broker; add a table [out.mqtt]")
    elif not is_loopback(action.endpoint) or "://" not in action.endpoint:
        raise ConfigError(f"{place}.endpoint: write it as tcp://127.0.0.1:PORT or ipc://PATH")
    try:
        check_payload(action.payload)
    except ValueError as error:
        raise ConfigError(f"{place}.payload: {error}") from error


def _check_mqtt(mqtt: Mqtt, place: str) -> None:
    if not mqtt.host:
        raise ConfigError(f"{place}.host: is empty")
    if mqtt.password_file and not mqtt.user:
        raise ConfigError(f"{place}.password_file: needs user")
    if mqtt.ca_file and not mqtt.tls:
        raise ConfigError(f"{place}.ca_file: needs tls = true")
    for key, topic in (("base_topic", mqtt.base_topic), ("discovery", mqtt.discovery)):
        if topic:
            _check_topic(topic, f"{place}.{key}")


def _check_topic(topic: str, place: str) -> None:
    if re.search(r"[+#\x00]", topic) or topic.startswith(("$", "/")) or topic.endswith("/"):
        raise ConfigError(f"{place}: {topic!r}: a topic has no +, # or $ and no / at its ends")
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise ConfigError(f"{place}: is longer than {MAX_TOPIC_BYTES} bytes")


def _check_source(line: Text | Readings, place: str) -> None:
    if is_broker(line.source):
        try:
            parse_url(line)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from error
    elif line.user or line.password_file or line.ca_file:
        raise ConfigError(f"{place}: user, password_file and ca_file are for mqtt:// sources")


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"`{near[0]}`?" if near else "another bundle? this one has no labels"
