"""Lines from standard input and from a followed file; which addresses are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.error import ConfigError
from sensors.lines import Lines, lines
from tests import parts


@contextmanager
def opened(source: str | int | Path, counters: dict[str, int] | None = None) -> Iterator[Lines]:
    """The lines of a source."""
    source = str(source) if isinstance(source, Path) else source
    with closing(lines(source, {} if counters is None else counters)) as opened_lines:
        yield opened_lines


def said(source: Lines, n: int) -> list[str]:
    return [line.decode() for line in parts.take(source, n)]


def started(source: Lines) -> Lines:
    """Pull once, so that the source is open."""
    assert next(source) is None
    return source


@pytest.mark.parametrize(
    "address",
    [
        "tcp://0.0.0.0:5999",
        "tcp://*:5999",
        "zmq://192.168.1.2:5999",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:²",
        "udp://127.0.0.1:5999",
        "zmq+ipc:///no/such/folder/text.ipc",
        5,
    ],
)
def test_a_wrong_address_is_a_configuration_error(address: str | int) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+$"), opened(address) as source:
        next(source)


def test_a_file_is_followed_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_text("old\n")
    with opened(path) as source, path.open("a") as writer:
        started(source)
        writer.write("new\nunfini")
        writer.flush()
        assert said(source, 1) == ["new"]
        writer.write("shed\n")
        writer.flush()
        assert said(source, 1) == ["unfinished"]


def test_a_file_that_appears_later_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    with opened(path) as source:
        started(source)
        path.write_text("first\nsecond\n")
        assert said(source, 2) == ["first", "second"]


def test_a_file_that_does_not_exist_is_waited_for_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "events.log") as source:
        started(source)
        next(source)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "waiting for it to appear" in caplog.text


@pytest.mark.parametrize(
    ("path", "message"),
    [("stdn", "did you mean stdin"), ("STDIN", "did you mean stdin"), ("no/log", "no folder no")],
)
def test_a_file_that_can_hardly_be_meant_is_a_configuration_error(path: str, message: str) -> None:
    with opened(path) as source, pytest.raises(ConfigError, match=message):
        next(source)


def test_rotation_and_truncation_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.touch()
    with opened(path) as source:
        started(source)
        writer = path.open("a")
        writer.write("a\n")
        path.rename(tmp_path / "events.log.1")
        writer.write("written after the rename\n")
        writer.close()
        assert said(source, 2) == ["a", "written after the rename"]
        path.write_text("b\n")
        assert said(source, 1) == ["b"]
        os.truncate(path, 0)
        assert [next(source), next(source)] == [None, None]
        path.write_text("c\n")
        assert said(source, 1) == ["c"]
        path.unlink()
        assert [next(source), next(source)] == [None, None]
        path.write_text("d\n")
        assert said(source, 1) == ["d"]


def test_what_can_never_be_followed_is_a_configuration_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, "/dev/null"):
        with opened(path) as source, pytest.raises(ConfigError, match="regular file"):
            next(source)


READ_STDIN = """
from sensors.lines import lines
for line in lines("stdin", {}):
    print(line and line.decode(), flush=True)
"""


def test_standard_input_is_read_to_its_end() -> None:
    command = [sys.executable, "-c", READ_STDIN]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"None\n"  # alive while nothing is said
        out, _ = child.communicate(b"hello\nno newline", timeout=20)
    assert [line for line in out.split() if line != b"None"] == [b"hello", b"no", b"newline"]
    assert child.returncode == 0


def test_a_file_as_standard_input_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\n")
    with path.open() as stdin:
        command = [sys.executable, "-c", READ_STDIN]
        out = subprocess.run(command, stdin=stdin, capture_output=True, check=True).stdout
    assert [line for line in out.split() if line != b"None"] == [b"one", b"two"]
