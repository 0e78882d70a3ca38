"""What recordings are called, and which files belong to one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.error import ConfigError
from pipeline.record.name import SegmentNames, stamp

WALL_NS = 1_784_000_000_123_456_789


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_a_time_in_a_name_is_utc() -> None:
    assert stamp(0) == "19700101T000000Z"
    assert stamp(WALL_NS) == "20260714T033320Z"


def test_segments_are_numbered_and_a_number_is_never_used_again(tmp_path: Path) -> None:
    names = SegmentNames(str(tmp_path / "x.mcap"), WALL_NS)
    assert names.next_path() == tmp_path / "x.mcap"
    made(tmp_path, "x.mcap", "x.0007.mcap", "x.12345.mcap")
    assert names.next_path() == tmp_path / "x.12346.mcap"
    assert [path.name for path in names.own()] == ["x.mcap", "x.0007.mcap", "x.12345.mcap"]


def test_other_files_are_not_ours(tmp_path: Path) -> None:
    made(tmp_path, "xx.mcap", "x.1.mcap", "x.repaired.mcap", "x.0001.mcap.bak", "ax.0001.mcap")
    names = SegmentNames(str(tmp_path / "x.mcap"), WALL_NS)
    assert names.own() == names.all() == []
    names.check_free("record.file")


def test_earlier_recordings_of_a_name_with_a_time_are_listed_oldest_first(tmp_path: Path) -> None:
    now = stamp(WALL_NS)
    made(tmp_path, f"h-{now}.mcap", "h-20250101T000000Z.0002.mcap", "h-20250101T000000Z.mcap")
    made(tmp_path, "h-now.mcap", "h-{time}.mcap")
    names = SegmentNames(str(tmp_path / "h-{time}.mcap"), WALL_NS)
    assert names.first == tmp_path / f"h-{now}.mcap"
    assert [path.name for path in names.own()] == [f"h-{now}.mcap"]
    assert [path.name for path in names.all()] == [
        "h-20250101T000000Z.mcap",
        "h-20250101T000000Z.0002.mcap",
        f"h-{now}.mcap",
    ]


@pytest.mark.parametrize("there", ["x.mcap", "x.0003.mcap"])
def test_a_recording_is_never_continued_nor_overwritten(tmp_path: Path, there: str) -> None:
    made(tmp_path, there)
    with pytest.raises(ConfigError, match=rf"^record.file: .*/{there} exists; give another name"):
        SegmentNames(str(tmp_path / "x.mcap"), WALL_NS).check_free("record.file")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^record.file: .*/none is no folder; make it first$"):
        SegmentNames(str(tmp_path / "none" / "x.mcap"), WALL_NS).check_free("record.file")
