"""What a person is shown of a run."""

from __future__ import annotations

import io
import os

from msgspec.structs import replace
from rich.console import Console

from pipeline.control import ProcessStatus
from pipeline.monitor.recent import Recent
from pipeline.monitor.screen import screen
from pipeline.monitor.table import rows, text
from pipeline.monitor.usage import Meter, read_usage
from pipeline.rate import Rates
from tests.pipeline.messages import health, prediction

SECOND_NS = 1_000_000_000
PROCESSES = [
    ProcessStatus(
        name="node",
        pid=os.getpid(),
        state="running",
        restarts=0,
        last_error="",
        counters={"camera/a.dropped.superseded": 3, "camera/a.dropped.at_stop": 0},
        rate_hz=10.0,
    ),
    ProcessStatus(
        name="camera/a",
        pid=0,
        state="stuck",
        restarts=2,
        last_error="away\n\x1b[31m",
        counters={},
        faults=["black", "frozen"],
    ),
    ProcessStatus(
        name="microphone/a",
        pid=0,
        state="running",
        restarts=0,
        last_error="",
        counters={"drift_ppm": 31},
    ),
]


def test_the_table_names_states_losses_and_errors() -> None:
    head, node, camera, _ = text(rows(PROCESSES, Meter())).splitlines()
    assert head.split() == [
        "process",
        "pid",
        "state",
        "rate",
        "Hz",
        "lost",
        "restarts",
        "CPU",
        "%",
        "MB",
        "last",
        "error",
    ]
    assert node.split()[:4] == ["node", str(os.getpid()), "running", "10.0"]
    assert "stuck (black, frozen)" in camera
    assert "3 superseded" in camera
    assert "at_stop" not in camera
    assert camera.endswith("away??[31m")  # what a terminal would obey is not printed


def test_the_usage_of_a_process_is_that_of_the_machine() -> None:
    used = read_usage(os.getpid())
    assert used is not None
    times = os.times()
    assert abs(used.cpu_s - times.user - times.system) < 0.5
    assert used.resident_bytes > 10_000_000
    meter = Meter()
    assert meter.read(os.getpid()) is not None
    assert meter.read(2**22 + 1) is None


def test_rates_are_those_of_the_newest_reports_of_one_process() -> None:
    rates = Rates()
    for n in range(20):
        said = replace(health("camera/a", n * SECOND_NS), counters={"captured": n * (5 + n)})
        rates.observe({"camera/a": said, "recorder": health("recorder", n * SECOND_NS)})
        rates.observe({"camera/a": said})
    assert rates.rate_hz("camera/a") == (19 * 24 - 14 * 19) / 5
    assert rates.rate_hz("recorder") is None
    assert rates.rate_hz("camera/b") is None
    again = replace(health("camera/a", 21 * SECOND_NS, pid=2), counters={"captured": 1})
    rates.observe({"camera/a": again})
    assert rates.rate_hz("camera/a") is None


def shown(recent: Recent) -> str:
    out = io.StringIO()
    console = Console(file=out, width=140)
    console.print(screen("home", PROCESSES, recent, Meter()))
    return out.getvalue()


def test_the_screen_says_why() -> None:
    recent = Recent()
    assert "no prediction yet" in shown(recent)
    made = prediction(SECOND_NS, {"fall": 0.9, "nap": 0.1}, missing=["camera/a"])
    said = replace(
        made,
        inputs={"microphone/a": [(1, 0)]},
        ages_ns={"microphone/a": 30_000_000},
        weights={"microphone/a": 1.0},
        stages_ns={"microphone/a": (1_000_000, 4_000_000)},
        faults={"camera/a": ["black"]},
    )
    recent.add(said)
    lines = shown(recent)
    assert "tick to prediction, ms: p50 1.0  p99 1.0" in lines
    assert "missing: black" in lines
    assert "because of microphone/a 1.00; missing camera/a; camera/a is black" in lines
    _, stream = (line for line in lines.splitlines() if line.startswith("microphone/a"))
    assert stream.split()[1:5] == ["30.0", "5.0", "5.0", "1.00"]
    assert "+31 ppm" in stream
