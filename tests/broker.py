"""A real MQTT broker on a port of its own, and a client that notes everything it hears."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho

from tests.parts import answers, free_port, wait_until

LIMIT_S = 20.0


def program(name: str) -> str:
    """The path of a program that may lie where only administrators look, or skip the test."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} not installed: run `make system`")
    return found


class Broker:
    """Mosquitto. It keeps its sessions in a file, so that a restart is no reason for a loss."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.port = free_port()
        self._path = folder / "broker.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "set_tcp_nodelay true",
            f"user {getpass.getuser()}",
            "persistence true",
            f"persistence_location {folder}/",
            *(settings or ["allow_anonymous true"]),
        ]
        self._path.write_text("\n".join(lines) + "\n")
        self._program = program("mosquitto")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        command = [self._program, "-c", str(self._path)]
        self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        wait_until(lambda: answers(self.port))

    def stop(self) -> None:
        """End it as an administrator does; a second time does nothing."""
        if self.process:
            self.process.terminate()
            self.process.wait(LIMIT_S)
            self.process = None


@contextmanager
def broker(folder: Path, *settings: str) -> Iterator[Broker]:
    made = Broker(folder, *settings)
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Listener:
    """Notes (topic, payload, retained) of all messages; its session outlives the broker."""

    def __init__(self, port: int, name: str) -> None:
        version = paho.CallbackAPIVersion.VERSION2
        self.client = paho.Client(version, client_id=name, clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.heard: list[tuple[str, bytes, bool]] = []
        self.client.on_connect = self._subscribe
        self.client.on_message = self._hear
        self.client.connect("127.0.0.1", port)
        self.subscribed = False
        self.client.on_subscribe = self._note
        self.client.loop_start()
        wait_until(lambda: self.subscribed)

    def _subscribe(self, client: Any, *_: Any) -> None:
        client.subscribe("#", qos=1)

    def _note(self, *_: Any) -> None:
        self.subscribed = True

    def _hear(self, _: Any, __: Any, message: Any) -> None:
        self.heard.append((message.topic, message.payload, message.retain))

    def of(self, topic: str) -> list[bytes]:
        """The payloads of a topic."""
        return [payload for name, payload, _ in list(self.heard) if name == topic]

    def json(self, topic: str) -> list[Any]:
        """The same, read."""
        return [json.loads(payload) for payload in self.of(topic)]

    def until(self, condition: Callable[[], object]) -> None:
        wait_until(condition, LIMIT_S)

    def say(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(LIMIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def listener(port: int, name: str = "listener") -> Iterator[Listener]:
    made = Listener(port, name)
    try:
        yield made
    finally:
        made.close()
