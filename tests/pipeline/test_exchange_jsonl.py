"""Lines of JSON become texts and readings with their own times."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipeline.exchange.incoming import ExchangeError, Options
from pipeline.exchange.intake import bring_in
from pipeline.exchange.media_out import export_media
from pipeline.log.reader import LogReader
from pipeline.sample import Reading, TextEvent
from tests.pipeline.logged import read

LINES = """{"t": 0.5, "text": "door open", "room": 3}
{"t": 0.5, "temperature": 21.5, "humidity": 40}

{"t": 1.25, "humidity": 41, "temperature": 22}
{"t": 2, "text": "door shut"}
"""


def test_texts_and_readings(tmp_path: Path) -> None:
    (tmp_path / "home.jsonl").write_text(LINES, encoding="utf-8")
    found = bring_in(tmp_path / "home.jsonl", tmp_path / "x.mcap", Options())

    samples = read(tmp_path / "x.mcap")
    assert found["streams"] == {"readings/home": 2, "text/home": 2}
    texts = [s for s in samples if isinstance(s, TextEvent)]
    assert [(t.t_capture_ns, t.text, t.fields) for t in texts] == [
        (500_000_000, "door open", {"room": 3}),
        (2_000_000_000, "door shut", {}),
    ]
    readings = [s for s in samples if isinstance(s, Reading)]
    assert [r.values.tolist() for r in readings] == [[21.5, 40.0], [22.0, 41.0]]
    assert {r.names for r in readings} == {("temperature", "humidity")}


def test_units_and_wall_clock_times(tmp_path: Path) -> None:
    line = '{"t": 1790000000.25, "values": {"heat": 20}, "units": {"heat": "°C"}}\n'
    (tmp_path / "a.jsonl").write_text(line, encoding="utf-8")
    bring_in(tmp_path / "a.jsonl", tmp_path / "x.mcap", Options(name="attic"))

    with LogReader(tmp_path / "x.mcap") as log:
        (reading,) = log.samples()
        assert reading.t_capture_ns + log.header.wall_minus_monotonic_ns == 1790000000250000000
    assert isinstance(reading, Reading) and reading.units == ("°C",)
    export_media(tmp_path / "x.mcap", tmp_path / "out")
    with (tmp_path / "out" / "readings-attic.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"t_s": "0.000000000", "heat [°C]": "20.0"}]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "holds no lines"),
        ('{"text": "x"}', 'line 1: needs a time in seconds, as "t": 1.5'),
        ('{"t": true, "text": "x"}', "line 1: needs a time"),
        ('{"t": 1e10, "text": "x"}', "line 1: needs a time"),
        ('{"t": 1, "text": "x"}\n{"t": 0, "text": "y"}', "line 2 is earlier"),
        ('{"t": 1, "text": 5}', "line 1: its text is empty, too long or no string"),
        ('{"t": 1, "text": "x", "a": ' + "[" * 9 + "]" * 9 + "}", "nested too deep"),
        ('{"t": 1, "heat": "x"}', "line 1: neither text nor numbers"),
        ('{"t": 1, "heat": 1e99}', "neither text nor finite numbers"),
        ('{"t": 1}', "neither text nor finite numbers"),
        ('{"t": 1, "a": 1}\n{"t": 2, "b": 1}', "line 2: other names"),
        ("[1]", "line 1 is no JSON object"),
        ("x" * 300_000, "line 1 is too long"),
    ],
)
def test_bad_lines_are_named(lines: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")

    with pytest.raises(ExchangeError, match=said) as error:
        bring_in(tmp_path / "a.jsonl", tmp_path / "x.mcap", Options())
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
