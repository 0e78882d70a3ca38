"""A recorder that starts late, or never: the first samples wait for it, but not for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.prediction import Prediction
from tests.pipeline.logged import read
from tests.system.recorded import STREAMS, of
from tests.system.run import environment

# The command, with a recorder that sleeps before it starts, or only sleeps.
LATE = """
import sys
from pipeline import boot
from pipeline.cli import main
start = boot.command
def command(module, arguments):
    if "record" not in module:
        return start(module, arguments)
    if sys.argv[1] == "never":
        return ["sleep", "60"]
    return ["sh", "-c", 'sleep "$0"; exec "$@"', sys.argv[1], *start(module, arguments)]
boot.command = command
sys.exit(main(sys.argv[2:]))
"""


def demo(folder: Path, late: str, seconds: float, path: Path) -> dict[str, Any]:
    """The result of a short demo whose recorder is late."""
    arguments = ["demo", "--json", "--seconds", str(seconds), "--record", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", LATE, late, *arguments],
        env=environment(folder),
        check=True,
        capture_output=True,
        timeout=40,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_nothing_is_sensed_before_a_late_recorder_is_there(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    demo(tmp_path, "1.5", 1.5, path)
    samples = read(path)
    for stream in STREAMS:
        seqs = [sample.seq for sample in of(samples, stream)]
        assert seqs == list(range(len(seqs))) and seqs
    predictions = [sample for sample in samples if isinstance(sample, Prediction)]
    assert predictions[0].seq == 0


@pytest.mark.slow
def test_a_recorder_that_never_starts_keeps_nobody(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    found = demo(tmp_path, "never", 4.0, path)
    assert found["predictions"] >= 39
    assert all(found["streams"][stream]["delivered"] for stream in STREAMS)
    assert found["recording"]["files"] == [] and not path.exists()
