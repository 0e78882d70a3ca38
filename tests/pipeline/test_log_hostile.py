"""Damaged and hostile logs: a clear error or a repaired prefix, in little memory, and no hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.log.form import MAX_CHUNK_BYTES, LogError
from pipeline.log.reader import LogReader
from pipeline.log.repair import repair
from pipeline.log.summary import MAGIC
from tests.pipeline.logged import event, write


def hostile(folder: Path, n_cases: int, seed: int) -> None:
    command = [sys.executable, "-m", "tests.pipeline.log_hostile", str(folder)]
    ended = subprocess.run(
        [*command, str(n_cases), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"},
    )
    assert ended.returncode == 0, f"seed {seed}: {ended.stderr[-3000:]}"
    told = json.loads(ended.stdout)
    assert sum(told["outcomes"].values()) == n_cases
    assert len(told["outcomes"]) > 3, told
    assert told["grown_mib"] < 64, told


def test_some_hundred_hostile_logs(tmp_path: Path) -> None:
    hostile(tmp_path, 400, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_hostile_logs(tmp_path: Path) -> None:
    hostile(tmp_path, 10_000, seed=int(time.time()))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_small_chunk_that_expands_without_end_is_refused(
    tmp_path: Path, compression: str
) -> None:
    import lz4.frame
    import zstandard

    zeros = bytes(2 * MAX_CHUNK_BYTES)
    squeezed = lz4.frame.compress(zeros) if compression == "lz4" else zstandard.compress(zeros)
    name = compression.encode()
    content = bytes(16) + (1000).to_bytes(8, "little") + bytes(4)
    content += len(name).to_bytes(4, "little") + name + len(squeezed).to_bytes(8, "little")
    record = b"\x06" + (len(content) + len(squeezed)).to_bytes(8, "little") + content + squeezed
    write(tmp_path / "a.mcap", [event(1, 1)])
    data = (tmp_path / "a.mcap").read_bytes()
    (tmp_path / "b.mcap").write_bytes(data[:-400] + record)
    with pytest.raises(LogError):
        LogReader(tmp_path / "b.mcap")
    assert repair(tmp_path / "b.mcap").messages == 1


def test_a_file_of_nothing_but_chunk_heads_ends(tmp_path: Path) -> None:
    head = b"\x06" + (2**20).to_bytes(8, "little") + bytes(40)
    (tmp_path / "a.mcap").write_bytes(MAGIC + b"\xff" + head * 40_000)
    begun_s = time.perf_counter()
    assert repair(tmp_path / "a.mcap").messages == 0
    assert time.perf_counter() - begun_s < 20
