"""Films, sound files and subtitles come in with their own times, and go out again."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.exchange.draft import draft
from pipeline.exchange.incoming import ExchangeError, Options
from pipeline.exchange.intake import bring_in
from pipeline.exchange.media_out import export_media
from pipeline.log.reader import LogReader
from pipeline.sample import AudioChunk, Frame, TextEvent
from tests import parts
from tests.pipeline.films import SRT, clicks_s, flashes_s, make_film, steady_ms
from tests.pipeline.logged import read

FRAME_S = 0.04
EVENTS_S = (1.0, 3.0)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Four seconds at 25 Hz, with subtitles beside it."""
    path = make_film(tmp_path / "my clip.mp4", steady_ms(4), events_s=EVENTS_S)
    path.with_suffix(".srt").write_text(SRT, encoding="utf-8")
    return path


def test_film_becomes_three_streams(film: Path, tmp_path: Path) -> None:
    found = bring_in(film, tmp_path / "x.mcap", Options())

    samples = read(tmp_path / "x.mcap")
    assert found["streams"].keys() == {"camera/my_clip", "microphone/my_clip", "text/my_clip"}
    assert not found["left_out"]
    frames = [s for s in samples if isinstance(s, Frame)]
    assert [f.t_capture_ns for f in frames] == [t * 1_000_000 for t in steady_ms(4)]
    assert all(s.t_publish_ns >= s.t_end_ns for s in samples)
    assert [(s.text, s.t_capture_ns, s.fields) for s in samples if isinstance(s, TextEvent)] == [
        ("hello there", 500_000_000, {"duration_s": 1.0}),
        ("line a line b", 2_000_000_000, {"duration_s": 0.5}),
    ]


def test_sound_is_cut_like_that_of_a_microphone(film: Path, tmp_path: Path) -> None:
    bring_in(film, tmp_path / "x.mcap", Options())

    chunks = [s for s in read(tmp_path / "x.mcap") if isinstance(s, AudioChunk)]
    assert {c.rate_hz for c in chunks} == {16_000}
    assert {c.pcm.shape for c in chunks[:-1]} == {(1600, 1)}
    assert [c.seq for c in chunks] == list(range(len(chunks)))
    assert all(b.t_capture_ns - a.t_end_ns in (0, 1) for a, b in pairwise(chunks))


def test_flash_and_click_stay_together(film: Path, tmp_path: Path) -> None:
    bring_in(film, tmp_path / "x.mcap", Options())
    export_media(tmp_path / "x.mcap", tmp_path / "y.mp4")
    bring_in(tmp_path / "y.mp4", tmp_path / "y.mcap", Options())

    for log in ("x.mcap", "y.mcap"):
        samples = read(tmp_path / log)
        assert flashes_s(samples) == pytest.approx(EVENTS_S, abs=FRAME_S / 2)
        assert clicks_s(samples) == pytest.approx(EVENTS_S, abs=FRAME_S / 2)


def test_variable_rate_stays_as_it_is(tmp_path: Path) -> None:
    times_ms = [0, 40, 41, 200, 1000, 1010, 2500]
    film = make_film(tmp_path / "a.mkv", times_ms, sound_hz=0)
    bring_in(film, tmp_path / "x.mcap", Options())
    export_media(tmp_path / "x.mcap", tmp_path / "b.mp4")
    bring_in(tmp_path / "b.mp4", tmp_path / "y.mcap", Options())

    for log in ("x.mcap", "y.mcap"):
        found_ms = [s.t_capture_ns / 1e6 for s in read(tmp_path / log)]
        assert found_ms == pytest.approx(times_ms, abs=0.02)


def test_subtitles_inside_a_film(film: Path, tmp_path: Path) -> None:
    parts.needs("ffmpeg")
    for name, codec in (("in.mkv", "srt"), ("in.mp4", "mov_text")):
        files = ["-i", str(film), "-i", str(film.with_suffix(".srt"))]
        command = ["ffmpeg", "-v", "error", *files, "-c", "copy", "-c:s", codec]
        subprocess.run([*command, str(tmp_path / name)], check=True)
        bring_in(tmp_path / name, tmp_path / f"{name}.mcap", Options())

        texts = [s for s in read(tmp_path / f"{name}.mcap") if isinstance(s, TextEvent)]
        assert [text.text for text in texts] == ["hello there", "line a line b"]
        assert [t.t_capture_ns / 1e9 for t in texts] == pytest.approx([0.5, 2.0], abs=0.03)


def test_pictures_as_jpeg_take_less(film: Path, tmp_path: Path) -> None:
    whole = bring_in(film, tmp_path / "x.mcap", Options())["bytes"]
    good = bring_in(film, tmp_path / "good.mcap", Options(), jpeg_quality=95)["bytes"]
    poor = bring_in(film, tmp_path / "poor.mcap", Options(), jpeg_quality=20)["bytes"]

    assert poor < good < whole
    with LogReader(tmp_path / "poor.mcap") as log:
        assert log.streams["camera/my_clip"].schema == "foxglove.CompressedImage"
        assert log.header.origin == "imported"


def test_a_log_becomes_a_folder_of_files(film: Path, tmp_path: Path) -> None:
    bring_in(film, tmp_path / "x.mcap", Options(name="hall"))
    found = export_media(tmp_path / "x.mcap", tmp_path / "out")

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "camera-hall.mp4",
        "camera-hall.srt",
        "microphone-hall.wav",
        "text-hall.csv",
    }
    assert found["streams"]["camera/hall"] == 100
    bring_in(tmp_path / "out" / "microphone-hall.wav", tmp_path / "w.mcap", Options())
    before = [s for s in read(tmp_path / "x.mcap") if isinstance(s, AudioChunk)]
    after = [s for s in read(tmp_path / "w.mcap") if isinstance(s, AudioChunk)]
    assert np.array_equal(
        np.concatenate([c.pcm for c in before]), np.concatenate([c.pcm for c in after])
    )
    assert [c.t_capture_ns for c in before] == [c.t_capture_ns for c in after]


def test_sound_keeps_its_place_after_a_gap(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mkv", steady_ms(2), events_s=[1.0], codecs=("mpeg4", "flac"))
    bring_in(film, tmp_path / "x.mcap", Options(sample_rate_hz=8000))

    chunks = [s for s in read(tmp_path / "x.mcap") if isinstance(s, AudioChunk)]
    assert {c.rate_hz for c in chunks} == {8000}
    assert clicks_s(chunks) == pytest.approx([1.0], abs=0.003)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sound.mp4", "holds no video stream"),
        ("noise.mp4", "cannot be read as a film"),
        ("empty.mkv", "cannot be read as a film"),
        ("missing.mp4", "no such file"),
        ("clip.xyz", "no known kind"),
    ],
)
def test_bad_films_are_told_in_one_line(name: str, said: str, tmp_path: Path) -> None:
    make_film(tmp_path / "sound.mp4", [], sound_hz=44_100)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(5000))
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "clip.xyz").touch()
    before = set(tmp_path.iterdir())

    with pytest.raises(ExchangeError, match=said) as error:
        bring_in(tmp_path / name, tmp_path / "x.mcap", Options())
    assert "\n" not in str(error.value)
    assert set(tmp_path.iterdir()) == before


def test_a_film_that_is_cut_off_gives_what_it_has(film: Path, tmp_path: Path) -> None:
    whole = make_film(tmp_path / "whole.mkv", steady_ms(4), events_s=EVENTS_S)
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    found = bring_in(tmp_path / "cut.mkv", tmp_path / "x.mcap", Options())

    assert 30 < found["streams"]["camera/cut"] < 100
    assert sum(found["left_out"].values()) <= 3


def test_nothing_is_overwritten_and_nothing_half_written_stays(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_text("mine", encoding="utf-8")
    with pytest.raises(ExchangeError, match="exists already"), draft(tmp_path / "x.mcap"):
        pass
    with pytest.raises(ValueError, match="mine"), draft(tmp_path / "y") as made:
        made.mkdir()
        (made / "part").touch()
        raise ValueError("mine")
    assert [path.name for path in tmp_path.iterdir()] == ["x.mcap"]


def test_an_imported_film_replays(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(film), "-o", str(tmp_path / "x.mcap"), "--json"]) == 0
    assert main(["replay", str(tmp_path / "x.mcap"), "--json"]) == 0

    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found[0]["streams"]["camera/my_clip"] == 100
    assert found[-1]["predictions"] == 41 and not found[-1]["refused"]


def test_a_real_film(tmp_path: Path) -> None:
    found = bring_in(parts.real_video(), tmp_path / "x.mcap", Options(), jpeg_quality=85)
    assert found["streams"] == {"camera/bikes": 250} and found["seconds"] == 9.96
    export_media(tmp_path / "x.mcap", tmp_path / "y.mkv")
    bring_in(tmp_path / "y.mkv", tmp_path / "y.mcap", Options(name="bikes"), jpeg_quality=85)
    with LogReader(tmp_path / "x.mcap") as old, LogReader(tmp_path / "y.mcap") as new:
        for before, after in zip(old.samples(), new.samples(), strict=True):
            assert isinstance(before, Frame) and isinstance(after, Frame)
            assert abs(before.t_capture_ns - after.t_capture_ns) <= 1_000_000
            assert np.abs(before.pixels.astype(int) - after.pixels).mean() < 8


def test_a_real_voice(tmp_path: Path) -> None:
    found = bring_in(parts.real_voice(), tmp_path / "x.mcap", Options())
    chunks = [s for s in read(tmp_path / "x.mcap") if isinstance(s, AudioChunk)]

    assert found["seconds"] > 1 and max(np.abs(c.pcm.astype(int)).max() for c in chunks) > 3000


def test_film_of_several_cameras_needs_a_folder(film: Path, tmp_path: Path) -> None:
    sound = make_film(tmp_path / "s.wav", [], sound_hz=16_000, codecs=("", "pcm_s16le"))
    bring_in(sound, tmp_path / "x.mcap", Options())

    with pytest.raises(ExchangeError, match="the log has none: give -o a folder"):
        export_media(tmp_path / "x.mcap", tmp_path / "y.mp4")
    assert not (tmp_path / "y.mp4").exists()


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, film: Path) -> None:
    for module, source, extra in (
        ("av", film, "sensorium[media]"),
        ("rosbags.highlevel", tmp_path / "b.bag", "sensorium[ros]"),
    ):
        source.touch()
        code = f"import sys; sys.modules[{module!r}] = None; from pipeline.cli import main; main()"
        command = [sys.executable, "-c", code, "import", str(source), "-o", str(tmp_path / "o")]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert extra in told and told.count("\n") == 1
