"""Processes that torchrun starts train one model together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.training.hosts import Hosts  # noqa: E402


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, "-m", "tests.engines.training_host", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (tmp_path / "0.txt").read_text().count("\n") == 3
    assert (tmp_path / "1.txt").read_text() == ""
    assert (tmp_path / "run" / "fused.pt").exists()


def test_processes_share_an_epoch_without_overlap() -> None:
    order, device = torch.randperm(50), torch.device("cpu")
    shares = [Hosts(rank, 2, device).share(order, 8) for rank in range(2)]
    assert [len(batches) for batches in shares] == [3, 3]
    taken = torch.cat([torch.cat(batches) for batches in shares])
    assert len(taken.unique()) == len(taken) == 48
