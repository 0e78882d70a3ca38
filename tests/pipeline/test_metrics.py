"""A real Prometheus server scrapes a run, and promtool accepts what it finds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline import boot, child
from pipeline.config import Config
from pipeline.metrics.flow import Flow
from pipeline.metrics.tally import Tally
from pipeline.prediction import STAGES
from pipeline.sample import Health
from tests.broker import program
from tests.parts import free_port, running, wait_until
from tests.pipeline.home_process import LIMIT_S, Node, configured, speaking
from tests.pipeline.messages import health, prediction

MODULE = "pipeline.metrics.process"
SERVER = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: sensorium
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=LIMIT_S) as reply:
        content: bytes = reply.read()
    return content


def accepted(text: bytes) -> bool:
    """Whether promtool finds nothing to criticise."""
    command = [program("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=LIMIT_S)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
    return True


def shown(registry: CollectorRegistry) -> dict[str, float]:
    """{series: value}."""
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def now_health(process: str, counters: dict[str, int], **keys: Any) -> Health:
    made = health(process, 0, **keys)
    return msgspec.structs.replace(made, t_publish_ns=time.monotonic_ns(), counters=counters)


def test_healths_become_the_documented_names() -> None:
    registry, tally = CollectorRegistry(), Tally(["camera/a", "text/b", "microphone/c"])
    registry.register(tally)
    node = {
        "predictions": 9,
        "ticks_skipped": 1,
        "deadline_missed": 2,
        "camera/a.captured": 10,
        "camera/a.delivered": 7,
        "camera/a.dropped.superseded": 2,
        "camera/a.dropped.overwritten": 1,
        "event.fall.active": 1,
        "event.fall.started": 3,
    }
    home = {"mqtt.connected": 0, "mqtt.dropped": 4, "commands.limited": 5}
    healths = {
        "node": now_health("node", node),
        "camera/a": now_health("camera/a", {"captured": 10, "skipped": 6}, pid=1),
        "text/b": now_health("text/b", {"malformed": 1}, state="starting"),
        "microphone/c": now_health(
            "microphone/c", {"drift_ppb": -2500, "drift_ppm": 31}, state="lost"
        ),
        "camera/a.relay": now_health("camera/a.relay", {"dropped.unread": 8}),
        "recorder": now_health("recorder", {"camera/a.dropped.disk_slow": 11}),
        "home": now_health("home", home),
    }
    tally.hear(healths)
    tally.hear(healths | {"camera/a": msgspec.structs.replace(healths["camera/a"], pid=2)})
    found = shown(registry)
    expected = {
        'sensor_up{sensor="camera/a"}': 1,
        'sensor_up{sensor="text/b"}': 1,
        'sensor_up{sensor="microphone/c"}': 0,
        'messages_total{outcome="captured",sensor="camera/a"}': 10,
        'messages_total{outcome="delivered",sensor="camera/a"}': 7,
        'messages_total{outcome="dropped",sensor="camera/a"}': 3,
        'dropped_total{hop="node",reason="superseded",sensor="camera/a"}': 2,
        'dropped_total{hop="sensor",reason="skipped",sensor="camera/a"}': 6,
        'dropped_total{hop="sensor",reason="malformed",sensor="text/b"}': 1,
        'dropped_total{hop="relay",reason="unread",sensor="camera/a"}': 8,
        'dropped_total{hop="recorder",reason="disk_slow",sensor="camera/a"}': 11,
        'clock_drift_ppm{sensor="microphone/c"}': -2.5,
        'sound_clock_drift_ppm{sensor="microphone/c"}': 31,
        'restarts_total{process="camera/a"}': 1,
        "deadline_missed_total": 2,
        "predictions_total": 9,
        'event_active{event="fall"}': 1,
        'events_total{event="fall"}': 3,
        "mqtt_connected": 0,
        'mqtt_messages_total{outcome="dropped"}': 4,
        'commands_total{outcome="limited"}': 5,
    }
    assert {name: found.get(f"sensorium_{name}") for name in expected} == expected


def test_a_silent_sensor_is_not_up() -> None:
    registry, tally = CollectorRegistry(), Tally(["camera/a"])
    registry.register(tally)
    tally.hear({"camera/a": health("camera/a", 0)})
    assert shown(registry)['sensorium_sensor_up{sensor="camera/a"}'] == 0


def test_predictions_become_histograms_and_shares() -> None:
    registry = CollectorRegistry()
    flow = Flow(registry)
    stages = tuple(range(1_000_000, 1_000_000 * (len(STAGES) + 1), 1_000_000))
    made = msgspec.structs.replace(
        prediction(0, {"fall": 0.25}, missing=["microphone/a"]),
        inputs={"camera/a": [(1, 2)]},
        stages_ns={"camera/a": stages},
    )
    for _ in range(3):
        flow.observe(made)
    flow.observe(msgspec.structs.replace(made, inputs={}, missing=["microphone/a", "camera/a"]))
    found = shown(registry)
    assert found['sensorium_e2e_latency_seconds_count{modality="image"}'] == 4
    assert found['sensorium_e2e_latency_seconds_bucket{le="0.025",modality="image"}'] == 0
    assert found['sensorium_e2e_latency_seconds_bucket{le="0.05",modality="image"}'] == 4
    assert found['sensorium_stage_latency_seconds_count{stage="emit"}'] == 4
    assert found['sensorium_stage_latency_seconds_sum{stage="publish"}'] == pytest.approx(0.004)
    assert found['sensorium_modality_present_ratio{modality="image"}'] == 0.75
    assert found['sensorium_modality_present_ratio{modality="audio"}'] == 0
    assert found['sensorium_situation_score{label="fall"}'] == 0.25


def test_the_skew_of_two_streams_becomes_a_histogram() -> None:
    registry = CollectorRegistry()
    ages_ns = {"camera/a": 20_000_000, "microphone/b": 95_000_000, "text/c": 9_000_000_000}
    made = msgspec.structs.replace(prediction(0, {"fall": 0.25}), ages_ns=ages_ns)
    Flow(registry).observe(made)
    found = shown(registry)
    name, pair = "sensorium_alignment_skew_seconds", 'pair="camera/a microphone/b"'
    assert found[f"{name}_sum{{{pair}}}"] == pytest.approx(0.075)
    assert [n for n in found if n.startswith(f"{name}_count")] == [f"{name}_count{{{pair}}}"]


@contextmanager
def scraped(tmp_path: Path) -> Iterator[tuple[Config, Node, str]]:
    listen = f"127.0.0.1:{free_port()}"
    config = configured(tmp_path, out={"prometheus": {"listen": listen}})
    with speaking(config, "metrics") as (node, _):
        yield config, node, f"http://{listen}/metrics"


def test_promtool_accepts_what_is_scraped(tmp_path: Path) -> None:
    with scraped(tmp_path) as (_, node, url):
        node.predict(0.1, 0.2, missing=("text/a",))
        node.report()
        wait_until(lambda: b"sensorium_events_total" in fetched(url))
        text = fetched(url)
        assert accepted(text)
        assert b'sensorium_backend_info{active="onnxruntime",requested="onnxruntime"} 1.0' in text


@pytest.mark.slow
def test_a_prometheus_server_scrapes_us(tmp_path: Path) -> None:
    with scraped(tmp_path) as (_, node, url):
        settings, port = tmp_path / "server.yml", free_port()
        settings.write_text(SERVER.format(port=urllib.parse.urlsplit(url).port))
        command = [
            program("prometheus"),
            f"--config.file={settings}",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        ]
        with running(*command):
            api = f"http://127.0.0.1:{port}/api/v1"

            def asked(what: str) -> Any:
                return json.loads(fetched(f"{api}/{what}"))["data"]

            def value(query: str) -> str | None:
                node.predict(0.1, missing=("text/a",))
                node.report()
                results = asked(f"query?query={urllib.parse.quote(query)}")["result"]
                return results[0]["value"][1] if results else None

            wait_until(lambda: answers_http(f"{api}/targets"), LIMIT_S)
            wait_until(lambda: value("up") == "1", LIMIT_S)
            assert asked("targets")["activeTargets"][0]["health"] == "up"
            wait_until(lambda: value('sensorium_modality_present_ratio{modality="text"}') == "0")
            wait_until(lambda: value("sensorium_event_active") == "0", LIMIT_S)
            wait_until(lambda: float(value("rate(sensorium_predictions_total[1m])") or -1) >= 0)
            assert value('sensorium_sensor_up{sensor="text/a"}') == "0"
            assert value("sensorium_backend_info") == "1"


def answers_http(url: str) -> bool:
    try:
        return bool(fetched(url))
    except OSError:
        return False


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with scraped(tmp_path) as (config, _, url):
        other = tmp_path / "other"
        folder = {"run_dir": str(other / "run")}
        taken = msgspec.structs.replace(config, **folder)
        (other / "run").mkdir(parents=True)
        os.chmod(other / "run", 0o700)
        path = other / "run" / "run.json"
        child.write_config(taken, path)
        done = subprocess.run(
            boot.command(MODULE, [str(path)]),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        listen = url.split("/")[2]
    assert done.returncode == child.EXIT_CONFIG
    assert f"out.prometheus.listen {listen}: Address already in use; choose another port" in (
        done.stderr
    )


def test_promtool_accepts_the_settings_and_alerts_that_people_start_from() -> None:
    settings = Path(__file__).parents[2] / "deploy" / "prometheus" / "prometheus.yml"
    done = subprocess.run(
        [program("promtool"), "check", "config", str(settings)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    named = {
        word
        for line in settings.with_name("rules.yml").read_text().splitlines()
        for word in re.findall(r"sensorium_[a-z0-9_]+", line)
    }
    for name in named:
        assert name.removesuffix("_bucket") in known_names(), name


def known_names() -> set[str]:
    registry, tally = CollectorRegistry(), Tally(["camera/a"])
    registry.register(tally)
    Flow(registry)
    tally.hear({"node": now_health("node", {"predictions": 1})})
    described = re.findall(r"^# TYPE (\S+)", generate_latest(registry).decode(), re.MULTILINE)
    return set(described)
