"""Windows on disk are those that were written, and cost no memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.bundle import Encoders, ReadingsSpec, TextSpec
from engines.example import Example
from pipeline.learning.row_file import RowFile, read_rows
from pipeline.learning.window_folder import About, Windows, WindowWriter, read_about, write_about

ENCODERS = Encoders(
    text=TextSpec(file="t.onnx", sha256="", tokens=1, max_streams=1, length=4),
    readings=ReadingsSpec(
        file="r.onnx", sha256="", tokens=1, max_streams=1, names=("a", "b"), window=2
    ),
)


def example(n: int, *missing: str, label: str = "x") -> Example:
    inputs = {
        "text": np.full((1, 4), n, np.int32),
        "readings": np.full((1, 2, 2), n / 2, np.float32),
    }
    for modality in missing:
        del inputs[modality]
    ages_s = dict.fromkeys(inputs, n / 10)
    return Example(inputs=inputs, ages_s=ages_s, targets={"truth": (label,)})


def write(folder: Path, examples: list[Example]) -> Path:
    folder.mkdir()
    with WindowWriter(folder, ENCODERS) as writer:
        for number, made in enumerate(examples):
            writer.write(number * 100, made)
    write_about(folder, About(windows=writer.n_windows, empty=writer.n_empty))
    return folder


def test_rows_come_back_and_a_repeated_one_is_stored_once(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "x.npy", np.float32, (2,))
    assert [file.append_new(np.array(row)) for row in ([1, 2], [1, 2], [3, 4], [1, 2])] == [
        0,
        0,
        1,
        2,
    ]
    file.close()
    assert read_rows(tmp_path / "x.npy").tolist() == [[1, 2], [3, 4], [1, 2]]
    assert np.load(tmp_path / "x.npy", allow_pickle=False).shape == (3, 2)


def test_a_file_without_rows_can_be_read(tmp_path: Path) -> None:
    RowFile(tmp_path / "x.npy", np.uint8, (5, 3)).close()
    assert read_rows(tmp_path / "x.npy").shape == (0, 5, 3)


def test_windows_of_several_folders_are_one_sequence(tmp_path: Path) -> None:
    first = [example(0), example(1, "text"), example(2, label="y")]
    second = [example(3, "readings"), example(3, "text", "readings"), example(4)]
    folders = [write(tmp_path / "0", first), write(tmp_path / "1", second)]
    windows = Windows(folders)
    wanted = [*first, second[0], second[2]]  # an empty one teaches nothing
    assert len(windows) == 5
    assert read_about(folders[1]) == About(windows=2, empty=1)
    for found, made in zip(windows, wanted, strict=True):
        assert found.targets == made.targets
        assert found.ages_s == pytest.approx(dict(made.ages_s))
        assert found.inputs.keys() == made.inputs.keys()
        for modality, array in found.inputs.items():
            assert array.dtype == made.inputs[modality].dtype
            assert np.array_equal(array, made.inputs[modality])
    assert windows[-1].ages_s["text"] == pytest.approx(0.4)
    assert len(windows[1:3]) == 2
    with pytest.raises(IndexError):
        windows[5]


def test_windows_count_what_they_hold(tmp_path: Path) -> None:
    made = [example(0), example(1, "text"), example(2, label="nan"), example(2, label="nan")]
    windows = Windows([write(tmp_path / "0", made)])
    assert (windows.present("text"), windows.present("image")) == (3, 0)
    assert windows.complete(2) == 3
    assert windows.targets() == [({"truth": ("x",)}, 2), ({"truth": ("nan",)}, 2)]
    assert windows.drop("truth", lambda labels: labels == ("nan",)) == 2
    assert [w.targets for w in windows] == [{"truth": ("x",)}] * 2 + [{}] * 2


def test_a_folder_that_was_not_finished_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "0", [example(0)])
    (folder / "about.json").unlink()
    assert read_about(folder) is None
