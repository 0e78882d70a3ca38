"""From logs to windows on disk: in pieces as in one, and bad logs are told, not learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from engines.bundle import Encoders
from pipeline.label.store import make_set, write_beside
from pipeline.learning import cache, piece
from pipeline.learning.cache import Task, cache_root, fetch
from pipeline.learning.error import LearningError
from pipeline.learning.piece import edges, task_of
from pipeline.learning.source import Source, Wanted, config_of, match_streams, sources_of
from pipeline.learning.window_folder import Windows, read_about
from pipeline.sample import Reading, Sample, TextEvent
from tests.pipeline.home import MICROPHONE, READINGS, TEXT, config, model
from tests.pipeline.live_log import START_NS, published, write_log

SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return iter(())


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return published(5, 4.0)


def labels(*spans: tuple[float, float, str], name: str = "truth") -> list[Sample]:
    found = [
        (START_NS + int(a * SECOND_NS), START_NS + int(b * SECOND_NS), x, 1.0) for a, b, x in spans
    ]
    return list(make_set(name, found, "by hand"))


TRUTH = labels((0.0, 2.0, "quiet"), (2.0, 3.0, "fall"))


def log(folder: Path, samples: list[Sample], name: str = "live.mcap") -> Path:
    write_log(folder / name, samples, config())
    return folder / name


def wanted(encoders: Encoders | None = None, *labels: str) -> Wanted:
    return Wanted(encoders=encoders or model().manifest.encoders, labels=labels or ("truth",))


def only(path: Path, *sets: str) -> Source:
    (source,), _ = sources_of([path], config(), wanted(None, *sets))
    return source


def cut(task: Task) -> tuple[Windows, list[Path]]:
    folders = [folder for found in fetch([task]) for folder in found]
    return Windows(folders), folders


def test_pieces_hold_the_windows_of_the_whole(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = only(log(tmp_path, [*samples, *TRUTH]))
    assert source.expected == pytest.approx(30, abs=1)
    whole, _ = cut(task_of(source))
    monkeypatch.setattr(piece, "FEW", 10)
    monkeypatch.setattr(piece, "processors", lambda: 2)
    task = task_of(source)
    assert len(task.jobs) == 2
    parts, folders = cut(dataclasses.replace(task, key="other"))
    assert [len(Windows([folder])) for folder in folders] == [20, 9]
    assert len(whole) == len(parts) == 29
    for one, other in zip(whole, parts, strict=True):
        assert (one.targets, one.ages_s) == (other.targets, other.ages_s)
        assert all(np.array_equal(one.inputs[m], other.inputs[m]) for m in one.inputs)


@pytest.mark.slow
def test_pieces_are_cut_in_processes(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = only(log(tmp_path, [*samples, *TRUTH]))
    here, _ = cut(task_of(source))
    monkeypatch.setattr(cache, "FEW", 0)
    there, _ = cut(dataclasses.replace(task_of(source), key="other"))
    for one, other in zip(here, there, strict=True):
        assert all(np.array_equal(one.inputs[m], other.inputs[m]) for m in one.inputs)
    broken = Task(key="broken", module=task_of(source).module, jobs=(b"{}",), expected=1)
    with pytest.raises(LearningError):
        fetch([broken])
    assert not list(cache_root().glob("*broken*"))


def test_what_was_cut_is_not_cut_again_until_something_changes(
    tmp_path: Path, samples: list[Sample]
) -> None:
    path = log(tmp_path, [*samples, *TRUTH])
    task = task_of(only(path))
    _, (folder,) = cut(task)
    made_ns = (folder / "tick.npy").stat().st_mtime_ns
    cut(task_of(only(path)))
    assert (folder / "tick.npy").stat().st_mtime_ns == made_ns
    write_beside(path, {"label/truth": labels((0.0, 1.0, "nap"))})  # type: ignore[dict-item]
    assert task_of(only(path)).key != task.key
    windows, _ = cut(task_of(only(path)))
    assert {window.targets["truth"] for window in windows} == {("nap",)}


def test_a_log_without_these_labels_is_told(tmp_path: Path, samples: list[Sample]) -> None:
    bare, other = (
        log(tmp_path, samples),
        log(tmp_path, [*samples, *labels((0, 1, "a"), name="mood")], "b.mcap"),
    )
    good = log(tmp_path, [*samples, *TRUTH], "good.mcap")
    with pytest.raises(LearningError, match=r"live\.mcap has no labels of truth; it has no labels"):
        sources_of([bare], config(), wanted())
    found, notes = sources_of([bare, other, good], config(), wanted())
    assert len(found) == 1
    assert "its label sets: mood" in notes[1]
    assert notes[-1] == "2 of 3 logs are left out"
    assert all(note.startswith("skipped: ") for note in notes[:-1])


def test_a_broken_log_is_told_and_a_damaged_one_is_read_as_far_as_it_goes(
    tmp_path: Path, samples: list[Sample]
) -> None:
    path = log(tmp_path, samples)
    data = bytearray(path.read_bytes())
    write_beside(path, {"label/truth": labels((0.0, 4.0, "quiet"))})  # type: ignore[dict-item]
    (tmp_path / "short.mcap").write_bytes(data[: len(data) // 2])
    with pytest.raises(LearningError, match=r"sensorium repair"):
        sources_of([tmp_path / "short.mcap"], config(), wanted())
    whole, source = len(cut(task_of(only(path)))[0]), only(path)
    for at in range(len(data) // 2, len(data) // 2 + 2000):
        data[at] ^= 0xFF
    path.write_bytes(data)
    windows, (folder,) = cut(task_of(source))
    about = read_about(folder)
    assert about is not None
    assert 0 < len(windows) < whole
    assert "damaged" in about.damage[0]


def test_readings_that_are_no_numbers_are_counted_and_left_out(
    tmp_path: Path, samples: list[Sample]
) -> None:
    bad = [
        replace(s, values=s.values * np.float32(np.nan))
        if isinstance(s, Reading) and s.seq == 3
        else s
        for s in samples
    ]
    windows, (folder,) = cut(task_of(only(log(tmp_path, [*bad, *TRUTH]))))
    about = read_about(folder)
    assert about is not None
    assert about.refused == {READINGS: (1, "a reading that is no number")}
    found = [w.inputs["readings"] for w in windows if "readings" in w.inputs]
    assert found
    assert all(np.isfinite(array).all() for array in found)


def test_sound_at_another_rate_is_counted(tmp_path: Path, samples: list[Sample]) -> None:
    bad = [replace(s, rate_hz=8000) if s.stream == MICROPHONE else s for s in samples]
    windows, (folder,) = cut(task_of(only(log(tmp_path, [*bad, *TRUTH]))))
    about = read_about(folder)
    assert about is not None
    n, why = about.refused[MICROPHONE]
    assert n > 30
    assert why == "sound at 8000 Hz: the bundle takes 16000"
    assert windows.present("audio") == 0


def test_a_tick_on_the_first_sample_of_a_piece_is_cut_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Sample] = []
    for n in range(6):  # far from each other, each exactly on a tick
        t_ns = START_NS + n * 30 * SECOND_NS
        rows.append(
            TextEvent(stream=TEXT, seq=n, text=str(n), t_capture_ns=t_ns, t_publish_ns=t_ns)
        )
    spans = [(30.0 * n, 30.0 * n + 0.1, f"label {n}") for n in range(6)]
    path = log(tmp_path, [*rows, *labels(*spans)])
    monkeypatch.setattr(piece, "FEW", 1)
    monkeypatch.setattr(piece, "processors", lambda: 3)
    task = task_of(only(path))
    assert len(task.jobs) == 3
    windows, _ = cut(task)
    assert [window.targets["truth"] for window in windows] == [(f"label {n}",) for n in range(6)]


def test_streams_of_another_name_stand_for_the_only_one_of_their_kind() -> None:
    wanted = ["camera/a", "camera/b", "microphone/a", "text/a"]
    found = ["camera/a", "microphone/den", "text/x", "text/y", "label/truth"]
    names, notes = match_streams("x.mcap", found, wanted)
    assert names == {"microphone/den": "microphone/a"}
    assert notes == [
        "x.mcap: has no camera/b",
        "x.mcap: microphone/den stands for microphone/a",
        "x.mcap: has no text/a; it has text/x, text/y",
    ]
    with pytest.raises(LearningError, match="its streams: text/x, text/y"):
        match_streams("x.mcap", ["text/x", "text/y"], ["camera/a", "text/a"])


def test_without_wanted_labels_every_tick_is_taken(tmp_path: Path, samples: list[Sample]) -> None:
    path = log(tmp_path, list(samples))
    (source,), _ = sources_of(
        [path], config(), Wanted(encoders=model().manifest.encoders, labels=())
    )
    assert edges(source, 4) == pytest.approx([1.0, 2.0, 3.0], abs=0.05)
    windows, _ = cut(task_of(source))
    assert len(windows) == pytest.approx(40, abs=2)
    assert windows[0].targets == {}


def test_the_configuration_is_that_of_the_log(tmp_path: Path, samples: list[Sample]) -> None:
    path = log(tmp_path, list(samples))
    assert config_of([path], None, ["fusion.tick_hz=5"]).tick_hz == 5
    write_log(tmp_path / "bare.mcap", samples, None)
    with pytest.raises(LearningError, match="--config"):
        config_of([tmp_path / "bare.mcap"], None, [])
