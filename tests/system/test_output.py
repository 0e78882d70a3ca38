"""Readers of the output that are slow, hang up, or are full; and Ctrl-C in between."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.bus.subscriber import Subscriber
from pipeline.loader import load
from pipeline.prediction import Prediction
from pipeline.stream import Text
from tests import parts
from tests.system.run import COMMAND, LIMIT_S, SIMULATED, Run, environment, left_behind, sensorium

COMPUTING_S = 3.0  # of the processor; by then every import is done
SILENT_S = 8.0  # longer than the supervisor lets a process hang


@pytest.mark.slow
def test_a_reader_that_does_not_read_costs_lines_and_no_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Run(tmp_path, SIMULATED + "\n[fusion]\ntick_hz = 200\n") as run:
        run.until(lambda prediction: not prediction["missing"])
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        endpoint = load(tmp_path / "hub.toml").predictions_endpoint
        predictions = received(endpoint, SILENT_S)
        assert len(predictions) > 0.8 * SILENT_S * 200
        assert predictions[-1].t_emit_ns - predictions[0].t_emit_ns > 0.95 * SILENT_S * 1e9
        parts.wait_until(lambda: run.status()["node"]["counters"]["jsonl_dropped"] > 0, LIMIT_S)
        run.process.send_signal(signal.SIGINT)
        started_s = time.monotonic()
        assert run.process.wait(LIMIT_S) == 0
        assert time.monotonic() - started_s < 2.0
    assert left_behind(tmp_path) == []


def received(endpoint: str, seconds: float) -> list[Prediction]:
    """What the predictions endpoint says for so long."""
    line = Text(source="", bound=4096)
    subscriber = Subscriber({"prediction/home": (endpoint, line)})
    end_s, found = time.monotonic() + seconds, []
    while time.monotonic() < end_s:
        found += [s for s in subscriber.receive(50) if isinstance(s, Prediction)]
    subscriber.close()
    return found


def test_a_reader_that_hangs_up_ends_the_run_in_order(tmp_path: Path) -> None:
    """As `sensorium run hub.toml | head -1`."""
    (tmp_path / "hub.toml").write_text(SIMULATED)
    with subprocess.Popen(
        [*COMMAND, "run", str(tmp_path / "hub.toml")],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b'{"t":')
        process.stdout.close()
        assert process.wait(LIMIT_S) == 0
        assert process.stderr.read() == b""
    assert left_behind(tmp_path) == []


def test_a_full_disk_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(SIMULATED.replace('"-"', '"/dev/full"'))
    done = sensorium(tmp_path, "run", "hub.toml", cwd=tmp_path)
    assert done.returncode not in (0, -signal.SIGKILL)
    assert done.stderr.count("out.jsonl /dev/full: No space left on device") == 1
    assert "Traceback" not in done.stderr
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("command", ["graph hub.toml", "demo --seconds 1"])
def test_a_command_whose_reader_hung_up_ends_in_silence(tmp_path: Path, command: str) -> None:
    (tmp_path / "hub.toml").write_text(SIMULATED)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, *command.split()],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_ctrl_c_ends_a_computation_without_a_traceback(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "evaluate", "--scenes", "100000"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        parts.wait_until(lambda: cpu_s(process.pid) > COMPUTING_S, LIMIT_S)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out, errors) == (130, b"", b"")


def cpu_s(pid: int) -> float:
    """The processor time of a process (utime and stime, man 5 proc)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    "arguments",
    ["evaluate --scenes 0", "bench camera --frames -1", "bench transport --runs x"],
)
def test_a_count_that_is_none_is_refused(tmp_path: Path, arguments: str) -> None:
    done = sensorium(tmp_path, *arguments.split())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("is no whole number above 0")


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "soon"])
def test_a_length_that_is_none_is_refused(tmp_path: Path, seconds: str) -> None:
    done = sensorium(tmp_path, "demo", "--seconds", seconds)
    assert done.returncode == 2
    assert f"{seconds!r} is no number of seconds above 0" in done.stderr
