"""Two hosts as two network namespaces: a shaped, lossy link, a black hole, another clock, an ear.

All traffic stays on a pair of virtual interfaces between namespaces that a test makes and removes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.bus.subscriber import Subscriber
from pipeline.prediction import Prediction
from pipeline.sample import Health
from pipeline.stream import Text
from tests.parts import needs, wait_until
from tests.system.run import COMMAND, LIMIT_S, Run, environment

pytestmark = pytest.mark.slow

SHIFT_S = 1000
ROBOT_ADDRESS, HUB_ADDRESS = "10.78.0.1", "10.78.0.2"
LOSS = """
table inet test {
 chain input {
  type filter hook input priority 0;
  RULE drop
 }
}
"""
REASONS = {"disconnected", "no_clock", "superseded", "queue_full", "at_stop"}
WEATHER = "storm warning from the coast guard"


def call(*command: str, **options: str) -> None:
    subprocess.run(command, check=True, timeout=20, text=True, **options)  # type: ignore[call-overload]


class Host:
    """A namespace with an interface, a folder and a key."""

    def __init__(self, name: str, folder: Path) -> None:
        self.namespace, self.interface = f"sns{os.getpid()}{name}", f"sv{os.getpid()}{name}"
        self.folder = folder / name
        self.folder.mkdir()
        self.key = self.sensorium("keys")

    def sensorium(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._variables, *COMMAND, *arguments],
            env=environment(self.folder),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    @property
    def _variables(self) -> list[str]:
        return ["env", f"XDG_CONFIG_HOME={self.folder}"]

    @property
    def inside(self) -> list[str]:
        """Run what follows in the namespace."""
        return ["ip", "netns", "exec", self.namespace]

    def set_up(self, address: str) -> None:
        call(*self.inside, "ip", "address", "add", f"{address}/24", "dev", self.interface)
        for interface in (self.interface, "lo"):
            call(*self.inside, "ip", "link", "set", interface, "up")
        shape = ["rate", "20mbit", "burst", "32kbit", "latency", "400ms"]
        call(*self.inside, "tc", "qdisc", "add", "dev", self.interface, "root", "tbf", *shape)

    def lose(self, percent: int) -> None:
        """Let so many of a hundred packets that come in be lost."""
        call(*self.inside, "nft", "flush", "ruleset")
        if percent:
            rule = f"numgen random mod 100 < {percent}" if percent < 100 else ""
            rules = LOSS.replace("RULE", rule)
            call(*self.inside, "nft", "-f", "-", input=rules)

    def run(self, config: str, *clock: str) -> Run:
        prefix = [*self.inside, *clock, *self._variables]
        with self.errors.open("w") as errors:
            return Run(self.folder, config, "--json", prefix=prefix, stderr=errors)

    @property
    def errors(self) -> Path:
        """What the last run said."""
        return self.folder / "errors.txt"


class Hosts:
    """A robot and a hub, and the link between them."""

    def __init__(self, folder: Path) -> None:
        self.robot, self.hub = Host("r", folder), Host("h", folder)

    def set_up(self) -> None:
        robot, hub = self.robot, self.hub
        for host in (robot, hub):
            call("ip", "netns", "add", host.namespace)
        ends = ["name", robot.interface, "netns", robot.namespace, "type", "veth", "peer"]
        call("ip", "link", "add", *ends, "name", hub.interface, "netns", hub.namespace)
        robot.set_up(ROBOT_ADDRESS)
        hub.set_up(HUB_ADDRESS)

    def remove(self) -> None:
        for host in (self.robot, self.hub):
            command = ["ip", "netns", "delete", host.namespace]
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    needs("ip", "tc", "nft", "tcpdump", "unshare")
    if os.getuid() != 0:
        pytest.skip("network namespaces need root; the programs are those of `make system`")
    made = Hosts(tmp_path)
    try:
        made.set_up()
        yield made
    finally:
        made.remove()


def other_clock() -> list[str]:
    """Run what follows with a monotonic clock that is ahead, where the kernel can."""
    return ["unshare", "--time", "--monotonic", str(SHIFT_S)] if has_time_namespaces() else []


def has_time_namespaces() -> bool:
    return Path("/proc/self/ns/time").exists()


def robot_config(hub_key: str) -> str:
    return f"""
name = "robot"
[camera.room]
source = "simulator"
rate_hz = 15
resize = [320, 240]
[camera.room.remote]
endpoint = "tcp://{ROBOT_ADDRESS}:5600"
jpeg_quality = 80
allow = ['{hub_key}']
[microphone.room]
source = "simulator"
[microphone.room.remote]
endpoint = "tcp://{ROBOT_ADDRESS}:5610"
allow = ['{hub_key}']
"""


def hub_config(robot_key: str) -> str:
    return f"""
name = "hub"
[camera.room]
source = "remote"
endpoint = "tcp://{ROBOT_ADDRESS}:5600"
server_key = '{robot_key}'
max_age_ms = 1000
[microphone.room]
source = "remote"
endpoint = "tcp://{ROBOT_ADDRESS}:5610"
server_key = '{robot_key}'
max_age_ms = 2000
"""


class Listening:
    """Hears the predictions of a run and the health that its node reports, from outside."""

    def __init__(self, run: Run, name: str, stream: str) -> None:
        endpoint = f"ipc://{run.folder}/sensorium/{name}/predictions.ipc"
        every = Text(source="", bound=4096)
        self._bus = Subscriber({f"prediction/{name}": (endpoint, every)}, [endpoint])
        self._stream = stream

    def until_health(
        self, condition: Callable[[Health], object], limit_s: float = LIMIT_S
    ) -> Health:
        """The first health of the stream, from now on, for which the condition holds."""
        wait_until(lambda: self._hears(None) or self._holds(condition), limit_s)
        return self._bus.health[self._stream]

    def until(self, condition: Callable[[Prediction], object]) -> None:
        """Wait for a prediction for which the condition holds."""
        wait_until(lambda: self._hears(condition), LIMIT_S)

    def _hears(self, condition: Callable[[Prediction], object] | None) -> bool:
        heard = [p for p in self._bus.receive(0) if isinstance(p, Prediction)]
        return condition is not None and any(condition(p) for p in heard)

    def _holds(self, condition: Callable[[Health], object]) -> object:
        health = self._bus.health.get(self._stream)
        return health and condition(health)

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.close()


def is_complete(prediction: Prediction) -> bool:
    return not prediction.missing


def test_streams_of_another_host_survive_a_bad_link_and_a_black_hole(hosts: Hosts) -> None:
    robot, hub = hosts.robot, hosts.hub
    hub.lose(5)
    with (
        robot.run(robot_config(hub.key), *other_clock()) as robot_run,
        hub.run(hub_config(robot.key)) as hub_run,
        Listening(hub_run, "hub", "camera/room") as heard,
    ):
        heard.until(is_complete)
        offset_is_right(heard)
        hub.lose(100)
        heard.until_health(lambda health: health.state == "disconnected", 1.5)
        threading.Event().wait(3.0)
        hub.lose(5)
        heard.until_health(lambda health: health.state == "running")
        heard.until(is_complete)
        offset_is_right(heard)
        os.kill(robot_run.status()["camera/room.relay"]["pid"], signal.SIGKILL)
        heard.until_health(lambda health: health.state == "disconnected")
        heard.until_health(lambda health: health.state == "running")
        assert robot_run.status()["camera/room.relay"]["restarts"] == 1
        robot_run.stop()
        heard.until_health(lambda health: health.state == "disconnected")
        hub_run.process.send_signal(signal.SIGINT)
        out = hub_run.process.communicate(timeout=LIMIT_S)[0]
    for stream, ledger in json.loads(out.splitlines()[-1])["streams"].items():
        assert ledger["captured"] == ledger["delivered"] + sum(ledger["dropped"].values()), stream
        assert ledger["delivered"] > 0
        assert ledger["dropped"]["disconnected"] > 0
        assert set(ledger["dropped"]) <= REASONS


def offset_is_right(heard: Listening) -> None:
    """The offset, ours minus theirs, is that of the time namespace, within what it claims."""
    health = heard.until_health(lambda health: "offset_ns" in health.counters)
    true_ns = -SHIFT_S * 10**9 if has_time_namespaces() else 0
    uncertainty_ns = health.counters["offset_uncertainty_ns"]
    assert abs(health.counters["offset_ns"] - true_ns) <= uncertainty_ns
    assert uncertainty_ns < 100_000_000


@contextmanager
def tapped(host: Host, path: Path) -> Iterator[None]:
    """Write every packet of the host's interface to a file."""
    flags = ["--immediate-mode", "-U", "-Z", "root", "-i", host.interface, "-w", str(path)]
    with subprocess.Popen(
        [*host.inside, "tcpdump", *flags], stderr=subprocess.PIPE, text=True
    ) as ear:
        assert ear.stderr is not None
        assert "listening" in ear.stderr.readline()
        yield
        ear.terminate()


def says(lines: Path) -> bool:
    """Add an event to those that the sensor follows."""
    with lines.open("a") as file:
        return file.write(WEATHER + "\n") > 0


@pytest.mark.parametrize("is_private", [True, False])
def test_who_listens_on_the_link_reads_nothing(
    hosts: Hosts, tmp_path: Path, is_private: bool
) -> None:
    robot, hub = hosts.robot, hosts.hub
    lines = robot.folder / "events.txt"
    lines.write_text("")
    theirs = f"allow = ['{hub.key}']" if is_private else "insecure = true"
    ours = f"server_key = '{robot.key}'" if is_private else "insecure = true"
    endpoint = f'endpoint = "tcp://{ROBOT_ADDRESS}:5600"'
    sending = f'source = "{lines}"\n[text.events.remote]\n{endpoint}\n{theirs}\n'
    receiving = f'source = "remote"\n{endpoint}\n{ours}\n'
    capture = tmp_path / "capture"
    with (
        tapped(hub, capture),
        robot.run(f'name = "robot"\n[text.events]\n{sending}'),
        hub.run(f'name = "hub"\n[text.events]\n{receiving}') as hub_run,
        Listening(hub_run, "hub", "text/events") as heard,
    ):
        heard.until_health(lambda health: "offset_ns" in health.counters)
        heard.until(lambda prediction: says(lines) and "text/events" in prediction.inputs)
    assert (WEATHER.encode() in capture.read_bytes()) == (not is_private)
    for host in (robot, hub):
        assert ("insecure = true" in host.errors.read_text()) == (not is_private)
