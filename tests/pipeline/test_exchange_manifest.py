"""A folder with a manifest becomes a log of items apart in time, and the log the folder again."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.aligner import Aligner, WindowRule
from pipeline.cli import main
from pipeline.exchange.incoming import ExchangeError, Options
from pipeline.exchange.intake import bring_in
from pipeline.exchange.manifest_out import export_manifest
from pipeline.exchange.media_out import export_media
from pipeline.exchange.picture import read as read_picture
from pipeline.exchange.wave_out import write_wave
from pipeline.label.store import all_labels, labels_of
from pipeline.sample import AudioChunk, Frame
from pipeline.stream import Camera, Microphone, Text
from tests.pipeline.logged import read

HEAD = "id,camera,microphone,text,label,stale\n"
ROWS = 'a,0.png,0.wav,"one, maybe",one,\nb,1.png,,two,two,camera\nc,,2.wav,,three,microphone\n'
LABELS = ["one", "two", "three"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three items: one of all modalities, one without sound, one of short sound alone."""
    made = tmp_path / "train"
    made.mkdir()
    for n in range(2):
        cv2.imwrite(str(made / f"{n}.png"), np.full((8, 8), 50 + n, np.uint8))
    draw = np.random.default_rng(1)
    for n, size in ((0, 16_000), (2, 6_400)):
        pcm = draw.integers(-(2**15), 2**15, (size, 1)).astype(np.int16)
        write_wave(made / f"{n}.wav", pcm, 16_000)
    (made / "manifest.csv").write_text(HEAD + ROWS, encoding="utf-8")
    return made


def test_each_item_is_whole_at_its_end(folder: Path, tmp_path: Path) -> None:
    found = bring_in(folder, tmp_path / "x.mcap", Options())

    assert found["streams"] == {
        "camera/train": 2,
        "microphone/train": 24,
        "text/train": 2,
        "label/truth": 3,
        "label/id": 3,
        "label/stale": 2,
    }
    samples = read(tmp_path / "x.mcap")
    for label in labels_of(tmp_path / "x.mcap"):
        at_end = [s for s in samples if s.t_end_ns == label.t_capture_ns]
        kinds = {s.stream.partition("/")[0] for s in at_end}
        expected = {"one": {"camera", "microphone", "text"}, "two": {"camera", "text"}}
        assert kinds == expected.get(label.label, {"microphone"})
        assert label.t_capture_ns % 100_000_000 == 0


def test_no_window_holds_two_items(folder: Path, tmp_path: Path) -> None:
    bring_in(folder, tmp_path / "x.mcap", Options())
    samples = read(tmp_path / "x.mcap")
    ends_ns = [label.t_capture_ns for label in labels_of(tmp_path / "x.mcap")]
    kinds = {"camera": Camera, "microphone": Microphone, "text": Text}
    rules = {
        f"{kind}/train": WindowRule(
            max_age_ns=int(stream(source=0).max_age_ms * 1e6),
            duration_ns=1_000_000_000 if kind == "microphone" else 0,
        )
        for kind, stream in kinds.items()
    }
    aligner = Aligner(rules)
    held: list[set[str]] = []
    for sample in samples:
        if sample.stream in rules:
            aligner.add(sample)
    for end_ns in ends_ns:
        aligner = Aligner(rules)
        for sample in samples:
            if sample.stream in rules and sample.t_publish_ns <= end_ns:
                aligner.add(sample)
        windows = {s: w for s in rules if (w := aligner.window(s, end_ns))}
        held.append({stream.partition("/")[0] for stream in windows})
        times = [s.t_capture_ns for window in windows.values() for s in window]
        assert end_ns - min(times) <= 1_300_000_000
    assert held == [{"camera", "microphone", "text"}, {"camera", "text"}, {"microphone"}]


def test_the_gap_can_be_chosen(folder: Path, tmp_path: Path) -> None:
    bring_in(folder, tmp_path / "x.mcap", Options(gap_s=2.0))
    ends_ns = [label.t_capture_ns for label in labels_of(tmp_path / "x.mcap")]

    assert ends_ns == [1_200_000_000, 3_400_000_000, 6_700_000_000]


def test_export_gives_back_what_came_in(folder: Path, tmp_path: Path) -> None:
    bring_in(folder, tmp_path / "x.mcap", Options())
    found = export_manifest(tmp_path / "x.mcap", tmp_path / "out", "truth")

    with (tmp_path / "out" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert found["streams"] == {"items": 3, "camera": 2, "microphone": 2, "text": 2}
    assert [row["label"] for row in rows] == LABELS
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert [row["stale"] for row in rows] == ["", "camera", "microphone"]
    assert [row["text"] for row in rows] == ["one, maybe", "two", ""]
    out = tmp_path / "out"
    for row, before in zip(rows, ("0", "1", "2"), strict=True):
        if row["camera"]:
            old, new = (read_picture(p) for p in (folder / f"{before}.png", out / row["camera"]))
            assert np.array_equal(old, new)
        if row["microphone"]:
            assert (out / row["microphone"]).read_bytes() == (folder / f"{before}.wav").read_bytes()


def test_exported_tables_of_labels_can_be_set_again(folder: Path, tmp_path: Path) -> None:
    bring_in(folder, tmp_path / "x.mcap", Options())
    export_media(tmp_path / "x.mcap", tmp_path / "out")
    table = tmp_path / "out" / "label-truth.csv"
    command = ["label", "set", str(tmp_path / "x.mcap"), "--csv", str(table), "--name", "again"]
    assert main(command) == 0

    spans = [
        [(x.t_capture_ns, x.t_until_ns, x.label) for x in labels_of(tmp_path / "x.mcap", name)]
        for name in ("truth", "again")
    ]
    assert spans[0] == spans[1] and len(spans[0]) == 3


def test_out_and_in_again_is_the_same(folder: Path, tmp_path: Path) -> None:
    bring_in(folder, tmp_path / "x.mcap", Options(name="n"))
    export_manifest(tmp_path / "x.mcap", tmp_path / "out", "truth")
    bring_in(tmp_path / "out", tmp_path / "y.mcap", Options(name="n"))

    assert all_labels(tmp_path / "x.mcap") == all_labels(tmp_path / "y.mcap")
    for old, new in zip(read(tmp_path / "x.mcap"), read(tmp_path / "y.mcap"), strict=True):
        assert (old.stream, old.seq, old.t_capture_ns) == (new.stream, new.seq, new.t_capture_ns)
        if isinstance(old, Frame) and isinstance(new, Frame):
            assert np.array_equal(old.pixels, new.pixels)
        if isinstance(old, AudioChunk) and isinstance(new, AudioChunk):
            assert np.array_equal(old.pcm, new.pcm)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (HEAD, "holds no items"),
        ("id,picture\n1,0.png\n", "none of the columns camera, microphone, text"),
        (HEAD + "a,0.png\n", "item 1 has more or fewer cells"),
        (HEAD + "a,0.png,0.wav,x,one,,more\n", "item 1 has more or fewer cells"),
        (HEAD + "a,none.png,0.wav,x,one,\n", "item 1: there is no file .*none.png"),
        (HEAD + "a,0.wav,,x,one,\n", "is no picture that can be read"),
        (HEAD + "a,,0.png,x,one,\n", "holds no sound"),
        (HEAD + ROWS + 'd,"0.png\n', "is no CSV"),
        (HEAD + ",,,,one,\n", "nothing that could be taken"),
        ("camera,label,truth\n0.png,a,b\n", "two columns of one name"),
    ],
)
def test_bad_manifests_are_told_in_one_line(
    text: str, said: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "manifest.csv").write_text(text, encoding="utf-8")

    with pytest.raises(ExchangeError, match=said) as error:
        bring_in(folder, tmp_path / "x.mcap", Options())
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_pictures_in_a_folder_follow_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    for name, value in (("b.png", 20), ("a.png", 10), ("c.jpg", 30)):
        cv2.imwrite(str(folder / name), np.full((16, 16), value, np.uint8))
    (folder / "notes.txt").touch()
    found = bring_in(folder, tmp_path / "x.mcap", Options(rate_hz=3.0))

    frames = [s for s in read(tmp_path / "x.mcap") if isinstance(s, Frame)]
    assert [int(f.pixels[0, 0, 0]) for f in frames] == [10, 20, 30]
    assert [f.t_capture_ns for f in frames] == [0, 333_333_333, 666_666_667]
    assert found["left_out"] == {"files that are no PNG or JPEG": 1}


def test_pictures_of_a_hostile_size_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    data = bytearray(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())
    data[16:24] = b"\x00\x01\x00\x00" * 2
    (folder / "a.png").write_bytes(data)

    with pytest.raises(ExchangeError, match="a picture of 65536 x 65536 pixels"):
        bring_in(folder, tmp_path / "x.mcap", Options())


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()

    with pytest.raises(ExchangeError, match=r"holds no manifest\.csv, .* no PNG or JPEG"):
        bring_in(tmp_path / "void", tmp_path / "x.mcap", Options())
