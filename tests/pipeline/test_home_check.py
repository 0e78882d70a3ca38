"""Keys of outlets, events and actions that do not fit together are one clear line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from pipeline.error import ConfigError
from pipeline.home.check import check_start, outlet_warnings
from pipeline.loader import check

BASE: dict[str, Any] = {"name": "a", "text": {"events": {"source": "stdin"}}}
RULE = {"name": "fall", "label": "fall"}
BROKER = {"mqtt": {"host": "127.0.0.1"}}


def act(**keys: Any) -> dict[str, Any]:
    return {"event": [RULE], "action": [{"event": "fall", **keys}], "out": BROKER}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"event": [{"name": "a b", "label": "fall"}]}, "event[0].name: "),
        ({"event": [{"name": "a"}]}, "event[0]: object missing required field `label`"),
        ({"event": [{**RULE, "entr": 1}]}, "unknown key `event[0].entr`; did you mean"),
        ({"event": [{**RULE, "leave": 0.9}]}, "event[0].leave: is above enter"),
        ({"event": [RULE, RULE]}, "event[1].name: there are two of fall"),
        (act(topic="a", event="fal"), "no event `fal`; did you mean `fall`?"),
        ({"action": [{"event": "x", "topic": "a"}]}, "add a table [[event]]"),
        (act(), "either a topic (MQTT) or an endpoint (ZeroMQ)"),
        (act(topic="a/#"), "action[0].topic: 'a/#': a topic has no"),
        ({**act(topic="a"), "out": {}}, "needs a broker; add a table [out.mqtt]"),
        (act(endpoint="tcp://0.0.0.0:5"), "write it as tcp://127.0.0.1:PORT"),
        (act(topic="a", payload="$scor"), "action[0].payload: no value `$scor`"),
        ({"out": {"mqtt": {"hst": "a"}}}, "unknown key `out.mqtt.hst`; did you mean `out.mqtt.h"),
        ({"out": {"mqtt": {}}}, "out.mqtt: object missing required field `host`"),
        ({"out": {"mqtt": {"host": "a", "ca_file": "b"}}}, "ca_file: needs tls = true"),
        ({"out": {"mqtt": {"host": "a", "password_file": "b"}}}, "password_file: needs user"),
        ({"out": {"mqtt": {"host": "a", "base_topic": "/a"}}}, "base_topic: '/a': a topic has"),
        ({"out": {"prometheus": {"listen": "9464"}}}, 'write it as "127.0.0.1:9464"'),
        ({"out": {"prometheus": {"listen": "a:99999"}}}, 'write it as "127.0.0.1:9464"'),
        ({"text": {"a": {"source": "mqtt://hub"}}}, "write it as mqtt://HOST:1883/TOPIC"),
        ({"text": {"a": {"source": "mqtt://hub/a#"}}}, "write it as mqtt://HOST:1883/TOPIC"),
        ({"text": {"a": {"source": "stdin", "user": "b"}}}, "are for mqtt:// sources"),
    ],
)
def test_it_is_said_what_is_wrong(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(BASE | table, "hub.toml")
    assert said in str(error.value) and str(error.value).startswith("hub.toml: ")
    assert "\n" not in str(error.value)


def test_a_label_the_bundle_does_not_know_is_said_at_the_start() -> None:
    config = check(BASE | {"event": [{"name": "a", "label": "fal"}]}, "hub.toml")
    with pytest.raises(ConfigError, match="event a: no label `fal`; did you mean `fall`"):
        check_start(config)


@pytest.mark.parametrize(
    ("out", "module", "said"),
    [
        (BROKER, "paho", r"pip install 'sensorium\[mqtt\]'"),
        ({"prometheus": {}}, "prometheus_client", r"pip install 'sensorium\[prometheus\]'"),
    ],
)
def test_a_missing_library_is_one_line_at_the_start(
    monkeypatch: pytest.MonkeyPatch, out: dict[str, Any], module: str, said: str
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else there(name)
    )
    with pytest.raises(ConfigError, match=said):
        check_start(check(BASE | {"out": out}, "hub.toml"))


def test_a_password_is_read_from_a_private_file_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    table = {"host": "127.0.0.1", "user": "a", "password_file": str(secret)}
    config = check(BASE | {"out": {"mqtt": table}}, "hub.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        check_start(config)
    secret.write_text("hush\n")
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        check_start(config)
    secret.chmod(0o600)
    check_start(config)
    secret.write_text("")
    with pytest.raises(ConfigError, match="holds no password"):
        check_start(config)


def test_what_others_can_read_is_said_at_each_start() -> None:
    table = {
        "text": {"a": {"source": "mqtt://192.168.1.5/a", "user": "b", "password_file": "c"}},
        "out": {"mqtt": {"host": "hub.local"}, "prometheus": {"listen": "0.0.0.0:9464"}},
    }
    said = list(outlet_warnings(check(BASE | table, "hub.toml")))
    assert [line.partition(":")[0] for line in said] == ["out.mqtt", "text/a", "out.prometheus"]
    assert "password in the clear" in said[1] and "password" not in said[0]
    safe = {"out": {"mqtt": {"host": "hub.local", "tls": True}, "prometheus": {}}}
    assert list(outlet_warnings(check(BASE | safe, "hub.toml"))) == []
