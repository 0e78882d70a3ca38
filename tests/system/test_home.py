"""Whole runs that speak to a home: events in the output, a broker, a scrape, a command."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from pipeline.event.event import Event
from pipeline.event.rule import Rules
from pipeline.log.reader import LogReader
from pipeline.prediction import Prediction
from tests.broker import broker, listener
from tests.parts import free_port, wait_until
from tests.system.run import LIMIT_S, SIMULATED, Run, alive, left_behind, sensorium

# Any score begins it, and none ends it but the end of the run.
pytestmark = pytest.mark.slow

RULE = """
[[event]]
name = "always"
label = "quiet"
enter = 0
leave = 0
min_duration_s = 0.2
"""


def events_of(run: Run) -> list[tuple[str, str]]:
    return [(line["event"], line["phase"]) for line in run.predictions if "event" in line]


def test_an_event_begins_once_and_ends_with_the_run(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    config = SIMULATED.replace("rate_hz = 5", 'rate_hz = 5\nrecord = "lossless"') + RULE
    with Run(tmp_path, config, "--record", str(path)) as run:
        run.until(lambda line: "event" in line)
        for _ in range(10):
            run.next()
        run.process.send_signal(signal.SIGINT)
        rest, _ = run.process.communicate(timeout=LIMIT_S)
        run.predictions += [json.loads(line) for line in rest.splitlines()]
    assert events_of(run) == [("always", "start"), ("always", "end")]
    with LogReader(path) as reader:
        samples = list(reader.samples())
        assert reader.config is not None
        rules = Rules(reader.config.event)
    found = [s for s in samples if isinstance(s, Event)]
    again = [event for s in samples if isinstance(s, Prediction) for event in rules.step(s)]
    assert [e.t_capture_ns for e in again] == [e.t_capture_ns for e in found[:1]]
    assert [(event.phase, event.seq) for event in found] == [("start", 0), ("end", 1)]
    assert left_behind(tmp_path) == []


def test_a_home_hears_sees_and_is_heard(tmp_path: Path) -> None:
    scrape = free_port()
    with broker(tmp_path) as hub, listener(hub.port) as heard:
        config = (
            SIMULATED.replace(
                '[text.events]\nsource = "simulator"',
                f"""
[text.events]
source = "mqtt://127.0.0.1:{hub.port}/house/#"
max_age_ms = 60000""",
            )
            + RULE
            + f"""
[out.mqtt]
host = "127.0.0.1"
port = {hub.port}
[out.prometheus]
listen = "127.0.0.1:{scrape}"
[[action]]
event = "always"
enabled = true
topic = "lamp/set"
payload = {{ state = "ON" }}
"""
        )
        with Run(tmp_path, config) as run:
            run.until(lambda line: not {"camera/room", "microphone/room"} & {*line["missing"]})
            heard.until(lambda: heard.of("sensorium/home/event/always"))
            heard.say("house/kitchen", "smoke alarm in the kitchen")
            run.until(lambda line: "text/events" not in line["missing"])
            url = f"http://127.0.0.1:{scrape}/metrics"
            up = b'sensorium_sensor_up{sensor="text/events"} 1.0'
            wait_until(lambda: run.next() and up in urllib.request.urlopen(url).read(), LIMIT_S)
            status = run.status()
            assert (status["home"]["state"], status["metrics"]["state"]) == ("running", "running")
            hub.stop()  # the run does not mind
            wait_until(lambda: run.next() and run.status()["home"]["state"] == "lost", LIMIT_S)
            hub.start()
            wait_until(lambda: run.next() and run.status()["home"]["state"] == "running", LIMIT_S)
            run.stop()
        heard.until(lambda: len(heard.of("sensorium/home/event/always")) == 2)
        heard.until(lambda: heard.of("sensorium/home/availability")[-1] == b"offline")
        assert heard.json("lamp/set") == [{"state": "ON"}]
    assert left_behind(tmp_path) == []


def test_a_home_learns_that_a_killed_run_is_gone(tmp_path: Path) -> None:
    with broker(tmp_path) as hub, listener(hub.port) as heard:
        config = SIMULATED + f'[out.mqtt]\nhost = "127.0.0.1"\nport = {hub.port}\n'
        with Run(tmp_path, config) as run:
            heard.until(lambda: heard.of("sensorium/home/state"))
            pids = [process["pid"] for process in run.status().values()]
            run.process.kill()
            heard.until(lambda: heard.of("sensorium/home/availability")[-1] == b"offline")
            wait_until(lambda: not any(alive(pid) for pid in pids), LIMIT_S)


def test_what_the_home_needs_is_checked_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(SIMULATED + RULE.replace("quiet", "quite"))
    for command in ("run", "validate"):
        done = sensorium(tmp_path, command, "hub.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == ("sensorium: event always: no label `quite`; did you mean `quiet`?\n")
    (tmp_path / "hub.toml").write_text(
        SIMULATED + RULE + '[out.mqtt]\nhost = "hub"\n[out.prometheus]\n'
    )
    shown = sensorium(tmp_path, "graph", "hub.toml", cwd=tmp_path).stdout
    assert "event/always [quiet >= 0 .. 0]\n    home -> mqtt://hub:1883/sensorium/home\n" in shown
    assert "metrics <- http://127.0.0.1:9464/metrics\n" in shown


def test_help_stays_quick_without_the_libraries_of_the_home(tmp_path: Path) -> None:
    done = subprocess.run(
        [*sensorium(tmp_path, "--help").args[:1], "--help"],
        env={"PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert "paho" not in done.stderr and "prometheus_client" not in done.stderr
