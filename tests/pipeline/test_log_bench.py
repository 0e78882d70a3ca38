"""The writer keeps up with a plain file write."""

from __future__ import annotations

import pytest

from pipeline.cli import main
from pipeline.log.bench import bench_log, text
from tests.pipeline.logged import frame


def test_all_ways_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.log.bench.N_FRAMES", 4)
    result = bench_log(1, [frame(0, 0, (480, 640))])
    assert list(result) == ["simulated", "random"]
    for ways in result.values():
        assert list(ways) == ["plain", "none", "none, copied", "lz4", "zstd"]
        assert ways["plain"]["of_plain"] == 1
        assert ways["none"]["file_share"] == pytest.approx(1, abs=0.01)
    assert "simulated: plain" in text(result)


@pytest.mark.slow
def test_throughput_against_a_plain_file(capsys: pytest.CaptureFixture[str]) -> None:
    import msgspec

    assert main(["bench", "log", "--runs", "5", "--json"]) == 0
    result = msgspec.json.decode(capsys.readouterr().out)
    assert result["simulated"]["none"]["of_plain"] >= 0.5
    assert result["random"]["none"]["of_plain"] >= 0.35
