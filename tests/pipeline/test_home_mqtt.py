"""A real broker hears of a run: discovery, states, availability, events, commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import zmq

from pipeline.bus.subscriber import Subscriber
from pipeline.config import Config
from pipeline.spawn import Child
from tests.broker import Broker, Listener, broker, listener, program
from tests.parts import free_port, frozen, wait_until
from tests.pipeline.home_process import LIMIT_S, Node, configured, speaking

DISCOVERY = "homeassistant/device/sensorium_home/config"
AVAILABILITY = "sensorium/home/availability"
STATE, EVENT, ACTIVE = (
    "sensorium/home/state",
    "sensorium/home/event/fall",
    "sensorium/home/active/fall",
)
REQUEST = (
    "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    " -addext subjectAltName=IP:127.0.0.1"
)
FLICKER = [0.9, 0.85, 0.9] + [0.95, 0.3, 0.9, 0.6] * 10


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as made:
        yield made


@pytest.fixture
def heard(hub: Broker) -> Iterator[Listener]:
    with listener(hub.port) as made:
        yield made


def with_broker(folder: Path, port: int, **keys: Any) -> Config:
    actions = keys.pop("action", [])
    mqtt = {"host": "127.0.0.1", "port": port, **keys}
    return configured(folder, out={"mqtt": mqtt}, action=actions)


def predicting(node: Node, condition: Callable[[], object], score: float = 0.1) -> None:
    """Predict ten times a second until the condition holds."""
    next_s = time.monotonic()

    def step() -> object:
        nonlocal next_s
        if time.monotonic() >= next_s:
            next_s += 0.1
            node.predict(score, missing=("text/a",))
            node.report()
        return condition()

    wait_until(step, LIMIT_S)


def test_home_assistant_finds_one_device_with_its_sensors(
    tmp_path: Path, hub: Broker, heard: Listener
) -> None:
    with speaking(with_broker(tmp_path, hub.port, expire_after_s=7)) as (node, _):
        predicting(node, lambda: all(map(heard.of, (STATE, DISCOVERY, AVAILABILITY))))
        (told,) = heard.json(DISCOVERY)
        assert heard.of(AVAILABILITY) == [b"online"]
        with listener(hub.port, "late") as late:  # what is there is kept for who comes later
            late.until(lambda: late.of(DISCOVERY) and late.of(AVAILABILITY))
            assert [kept for topic, _, kept in late.heard if topic == DISCOVERY] == [True]
    assert told["dev"]["ids"] == ["sensorium_home"] and told["o"]["name"] == "sensorium"
    assert (told["availability_topic"], told["qos"]) == (AVAILABILITY, 1)
    assert set(told["cmps"]) == {"situation", "event_fall"}
    situation, fall = told["cmps"]["situation"], told["cmps"]["event_fall"]
    assert (situation["p"], situation["expire_after"]) == ("sensor", 7)
    assert situation["state_topic"] == situation["json_attributes_topic"] == STATE
    for key in ("weights", "missing", "latency_ms"):
        assert f"value_json.{key}" in situation["json_attributes_template"]
        assert key in heard.json(STATE)[0]
    assert (fall["p"], fall["state_topic"], fall["expire_after"]) == ("binary_sensor", ACTIVE, 7)
    assert fall["unique_id"] != situation["unique_id"]
    assert heard.json(STATE)[0]["situation"] == "quiet"
    assert heard.json(STATE)[0]["missing"] == ["text/a"]


def test_all_is_said_again_when_home_assistant_starts(
    tmp_path: Path, hub: Broker, heard: Listener
) -> None:
    with speaking(with_broker(tmp_path, hub.port)) as (node, _):
        predicting(node, lambda: heard.of(ACTIVE))
        heard.say("homeassistant/status", "offline")
        heard.say("homeassistant/status", "online")
        predicting(node, lambda: len(heard.of(DISCOVERY)) == 2)
        heard.until(lambda: len(heard.of(AVAILABILITY)) == 2)
    assert set(heard.of(AVAILABILITY)) == {b"online", b"offline"}
    assert heard.of(AVAILABILITY)[-1] == b"offline"  # it has ended in good order


@pytest.mark.slow
def test_states_come_at_most_at_their_rate(tmp_path: Path, hub: Broker, heard: Listener) -> None:
    with speaking(with_broker(tmp_path, hub.port, state_hz=4)) as (node, _):
        predicting(node, lambda: heard.of(STATE))
        began_s, n_before = time.monotonic(), len(heard.of(STATE))
        predicting(node, lambda: len(heard.of(STATE)) >= n_before + 6)
        assert time.monotonic() - began_s > 5 / 4 - 0.1


def revived(process: Child) -> int:
    process.revive()
    return process.pid


def test_who_is_killed_is_offline_and_comes_back_with_what_goes_on(
    tmp_path: Path, hub: Broker, heard: Listener
) -> None:
    with speaking(with_broker(tmp_path, hub.port)) as (node, process):
        predicting(node, lambda: heard.of(EVENT), score=0.95)
        os.kill(process.pid, signal.SIGKILL)
        heard.until(lambda: heard.of(AVAILABILITY)[-1] == b"offline")
        node.predict(*[0.1] * 4)  # it ends while nobody speaks to the home
        wait_until(lambda: process.crashed() is not None)
        wait_until(lambda: revived(process))
        node.wait_for_readers()
        predicting(node, lambda: heard.of(ACTIVE)[-1] == b"OFF")
        heard.until(lambda: heard.of(AVAILABILITY)[-1] == b"online")


@pytest.mark.slow
def test_a_broker_that_restarts_or_hangs_costs_no_event(
    tmp_path: Path, hub: Broker, heard: Listener
) -> None:
    rules = [
        {"name": f"e{n}", "label": "fall", "min_duration_s": 0, "cool_down_s": 0} for n in range(5)
    ]
    mqtt = {"host": "127.0.0.1", "port": hub.port}
    config = configured(tmp_path, out={"mqtt": mqtt}, event=rules)
    topics = [f"sensorium/home/event/e{n}" for n in range(5)]
    n_sent = 0

    def cycles(n: int) -> None:
        nonlocal n_sent
        for _ in range(n):
            node.predict(0.9, 0.1)
        n_sent += 2 * n

    with speaking(config) as (node, _):
        cycles(20)  # these are on their way as the broker ends
        hub.stop()
        cycles(20)  # and these come while there is none
        hub.start()
        heard.until(lambda: all(len(set(heard.of(topic))) == n_sent for topic in topics))
        assert hub.process is not None
        with frozen(hub.process):
            cycles(20)
        heard.until(lambda: all(len(set(heard.of(topic))) == n_sent for topic in topics))
        assert heard.of(AVAILABILITY)[-1] == b"online"
    for topic in topics:  # in order, but for what was said twice
        told = list(dict.fromkeys(heard.of(topic)))
        assert [json.loads(x)["phase"] for x in told] == ["start", "end"] * (n_sent // 2)


def test_a_flickering_score_makes_one_event_and_one_command(
    tmp_path: Path, hub: Broker, heard: Listener
) -> None:
    action = {
        "event": "fall",
        "enabled": True,
        "topic": "lamp/set",
        "payload": {"state": "ON", "why": "$label", "score": "$score"},
        "min_interval_s": 0.001,
    }
    off = {"event": "fall", "topic": "lamp/off"}
    with speaking(with_broker(tmp_path, hub.port, action=[action, off])) as (node, _):
        predicting(node, lambda: heard.of(STATE) and heard.of(ACTIVE))
        node.predict(*FLICKER)
        heard.until(lambda: heard.of(EVENT))
        node.predict(*[0.1] * 4)
        heard.until(lambda: len(heard.of(EVENT)) == 2)
        node.predict(*FLICKER)  # 4.3 s, and it cools down for 5 s
        predicting(node, lambda: len(heard.of(STATE)) >= 3)
    assert [told["phase"] for told in heard.json(EVENT)] == ["start", "end"]
    assert heard.json("lamp/set") == [{"state": "ON", "why": "fall", "score": 0.9}]
    assert heard.of("lamp/off") == []
    assert [word for word, _ in groupby(heard.of(ACTIVE))] == [b"OFF", b"ON", b"OFF"]


def test_commands_go_over_zeromq_without_a_broker_and_within_their_rate(tmp_path: Path) -> None:
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    actions = [
        {
            "event": "fall",
            "enabled": True,
            "endpoint": endpoint,
            "payload": "go $phase",
            "min_interval_s": 60,
        },
        {"event": "fall", "on": "end", "enabled": True, "endpoint": endpoint, "payload": "$phase"},
    ]
    rule = {"name": "fall", "label": "fall", "min_duration_s": 0, "cool_down_s": 0}
    config = configured(tmp_path, event=[rule], action=actions)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with speaking(config) as (node, _):
        node.predict(0.9, 0.1)  # nobody is there: these are sent never, not later
        with context.socket(zmq.PULL) as robot:
            robot.bind(endpoint)
            found: list[bytes] = []

            def command() -> bool:
                node.predict(0.9, 0.1)
                while robot.poll(100):
                    found.append(robot.recv())
                return len(found) >= 2

            wait_until(command, LIMIT_S)
            node.predict(*[0.9, 0.1] * 5)
            assert not robot.poll(300)
    context.term()
    assert sorted(found) == [b"end", b"go start"]


@pytest.mark.slow
def test_a_broker_is_reached_over_tls_with_a_password(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [program("openssl"), *REQUEST.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    users, secret = tmp_path / "users", tmp_path / "secret"
    subprocess.run(
        [program("mosquitto_passwd"), "-b", "-c", str(users), "hub", "hush"],
        check=True,
        capture_output=True,
    )
    secret.write_text("hush\n")
    secret.chmod(0o600)
    plain = free_port()  # for the listener of this test
    settings = [
        f"cafile {certificate}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "per_listener_settings false",
        f"password_file {users}",
        "allow_anonymous true",
        f"listener {plain} 127.0.0.1",
    ]
    with broker(tmp_path, *settings) as hub, listener(plain) as heard:
        login = {"tls": True, "user": "hub", "password_file": str(secret)}
        config = with_broker(tmp_path, hub.port, ca_file=str(certificate), **login)
        with speaking(config) as (node, _):
            predicting(node, lambda: heard.of(STATE))
        n_states = len(heard.of(AVAILABILITY))
        secret.write_text("wrong\n")
        with speaking(config):
            said = Subscriber({}, [config.home_endpoint])
            wait_until(lambda: list(said.receive(100)) or "refuse" in _last_error(said), LIMIT_S)
            assert said.health["home"].state == "lost"
            said.close()
        assert len(heard.of(AVAILABILITY)) == n_states


def _last_error(bus: Subscriber) -> str:
    health = bus.health.get("home")
    return health.last_error if health else ""
