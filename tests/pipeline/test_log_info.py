"""What `sensorium info` tells of a log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.cli import main
from pipeline.log.drift import DriftMeter
from pipeline.log.form import LogError
from pipeline.log.gap import GapCounter
from pipeline.log.info import info
from pipeline.log.writer import LogWriter
from pipeline.sample import Label, Sample
from tests.pipeline.logged import HEADER, chunk, event, frame, write

MS_NS = 1_000_000


def label(seq: int, begin_s: int, end_s: int, name: str) -> Label:
    return Label(
        stream="label/truth",
        seq=seq,
        t_capture_ns=begin_s * 1000 * MS_NS,
        t_publish_ns=end_s * 1000 * MS_NS,
        t_until_ns=end_s * 1000 * MS_NS,
        label=name,
    )


def test_counts_rates_gaps_and_labels(tmp_path: Path) -> None:
    samples: list[Sample] = [frame(n, n * 100 * MS_NS) for n in range(101) if n not in (50, 51)]
    samples += [event(5, 0), event(6, 1), event(0, 2), event(1, 3)]
    samples += [label(0, 0, 4, "fall"), label(1, 5, 6, "quiet"), label(2, 7, 9, "fall")]
    with LogWriter(tmp_path / "a.mcap", HEADER) as writer:
        for sample in samples:
            writer.write(sample)
        writer.note("ledger", {"captured": "7"})
    found = info(tmp_path / "a.mcap")
    assert (found.samples, found.origin, found.damage) == (99 + 4 + 3, "recorded", [])
    assert found.duration_s == 10.0
    assert found.begun == "2026-09-21T14:13:15.123+00:00"
    camera, text = found.streams["camera/a"], found.streams["text/a"]
    assert (camera.samples, camera.missing, camera.restarts) == (99, 2, 0)
    assert camera.rate_hz == pytest.approx(9.8)
    assert camera.longest_gap_s == pytest.approx(0.3)
    assert (text.missing, text.restarts) == (0, 1)
    assert found.labels["label/truth"]["fall"].count == 2
    assert found.labels["label/truth"]["fall"].seconds == pytest.approx(6)
    assert ("ledger", {"captured": "7"}) in [tuple(note) for note in found.notes]
    assert "camera/a [foxglove.RawImage]: 99 samples, 9.80 Hz" in found.text()
    assert "label/truth: fall 2x 6.0 s, quiet 1x 1.0 s" in found.text()


@pytest.mark.parametrize("ppm", [-250.0, 0.0, 80.0])
def test_the_drift_of_a_sound_clock_is_found(tmp_path: Path, ppm: float) -> None:
    """A clock that is fast by `ppm` gives its 320 samples in less time of the host."""
    period_ns = 20 * MS_NS / (1 + ppm / 1e6)
    chunks = []
    for n in range(3000):
        jitter_ns = (n * 7919 % 1000 - 500) * 1000  # half a millisecond
        chunks.append(chunk(n, round(n * period_ns) + jitter_ns))
    del chunks[1000:1100]  # a gap, over which nothing can be counted
    write(tmp_path / "a.mcap", chunks)
    line = info(tmp_path / "a.mcap").streams["microphone/a"]
    assert line.missing == 100
    assert line.drift_ppm == pytest.approx(ppm, abs=5)


@pytest.mark.parametrize("every", [1, 200])
def test_sound_with_pauses_that_no_number_tells_of_has_no_drift_by_them(every: int) -> None:
    """20 ms of sound, then, after each or after 4 s of it, nothing for 0.2 s."""
    meter = DriftMeter()
    for n in range(1000):
        meter(chunk(n, n * 20 * MS_NS + n // every * 200 * MS_NS))
    assert meter.ppm is None


def test_the_drift_is_that_between_the_pauses() -> None:
    meter = DriftMeter()
    for n in range(1000):
        meter(chunk(n, round(n * 20 * MS_NS * 1.0001) + n // 400 * 3000 * MS_NS))
    assert meter.ppm == pytest.approx(-100, abs=0.1)


def test_a_clock_that_no_clock_can_be_is_unknown(tmp_path: Path) -> None:
    write(tmp_path / "a.mcap", [chunk(n, n * 60 * MS_NS) for n in range(400)])
    found = info(tmp_path / "a.mcap")
    assert found.streams["microphone/a"].drift_ppm is None
    assert "clock drift unknown" in found.text()


def test_of_many_labels_the_first_are_shown(tmp_path: Path) -> None:
    labels = [label(n, n, n + 1, f"at {n % 1500}") for n in range(1600)]
    write(tmp_path / "a.mcap", labels[:23])
    found = info(tmp_path / "a.mcap")
    assert len(found.labels["label/truth"]) == 23
    assert found.text().splitlines()[-1].endswith("at 19 1x 1.0 s and 3 more")
    write(tmp_path / "b.mcap", labels)
    found = info(tmp_path / "b.mcap")
    assert len(found.labels["label/truth"]) == 1000
    assert found.labels["label/truth"]["at 7"].count == 2
    assert found.unlisted_labels == {"label/truth": 500}
    assert found.text().splitlines()[-1].endswith("and more than 980 more")


def test_a_short_sound_has_no_drift() -> None:
    meter = DriftMeter()
    for n in range(100):
        meter(chunk(n, n * 20 * MS_NS))
    assert meter.ppm is None
    assert meter.ppm is None


@pytest.mark.parametrize(
    ("sequences", "missing", "restarts"),
    [
        ([0, 1, 2], 0, 0),
        ([0, 3], 2, 0),
        ([2**32 - 1, 0], 0, 0),
        ([5, 5], 0, 1),
        ([9, 0, 1], 0, 1),
    ],
)
def test_gaps(sequences: list[int], missing: int, restarts: int) -> None:
    counter = GapCounter()
    assert sum(counter(sequence) for sequence in sequences) == missing
    assert (counter.missing, counter.restarts) == (missing, restarts)


def test_the_command_tells_of_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mcap"
    write(path, [event(n, n * 100 * MS_NS) for n in range(50)])
    assert main(["info", str(path), "--json"]) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told["streams"]["text/a"]["samples"] == 50
    path.write_bytes(path.read_bytes()[:-3000])
    assert main(["info", str(path)]) == 3
    shown = capsys.readouterr().out
    assert "damage: " in shown
    assert f"run `sensorium repair {path}`" in shown


def test_what_is_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"nothing")
    with pytest.raises(LogError, match="is no MCAP file"):
        info(tmp_path / "a")


def test_header_facts_are_told(tmp_path: Path) -> None:
    header = replace(HEADER, config="{}", bundle_sha256="abcd", origin="incident")
    LogWriter(tmp_path / "a.mcap", header).close()
    found = info(tmp_path / "a.mcap")
    assert (found.origin, found.bundle_sha256, found.has_config) == ("incident", "abcd", True)
    assert "0 samples" in found.text()
