"""The key file is private, made once, and never shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from pipeline.bus.key import KEY_BYTES, key_path, make_key, read_key
from pipeline.error import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_the_key_is_made_once_and_is_private(home: Path) -> None:
    assert make_key()
    assert key_path() == home / "sensorium" / "key"
    assert key_path().stat().st_mode & 0o777 == 0o600
    first = read_key()
    assert not make_key()
    assert read_key() == first
    assert zmq.curve_public(first.secret) == first.public
    assert len(first.public) == KEY_BYTES
    assert first.secret.decode() not in repr(first)


def test_without_xdg_the_key_is_under_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_path() == tmp_path / ".config" / "sensorium" / "key"


def test_a_missing_key_says_what_to_run() -> None:
    with pytest.raises(ConfigError, match="no key; make one with `sensorium keys`"):
        read_key()


def test_a_key_that_others_may_read_is_refused() -> None:
    make_key()
    key_path().chmod(0o640)
    with pytest.raises(ConfigError, match="others may read this key; run `chmod 600"):
        read_key()


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40, b"x" * 41])
def test_junk_is_no_key(content: bytes) -> None:
    make_key()
    key_path().write_bytes(content)
    with pytest.raises(ConfigError, match="holds no key"):
        read_key()


def test_the_command_prints_the_public_key_alone() -> None:
    command = [str(Path(sys.executable).parent / "sensorium"), "keys"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert made.stdout == again.stdout == read_key().public.decode() + "\n"
    assert made.stderr == f"made {key_path()}\n"
    assert again.stderr == ""
    assert read_key().secret.decode() not in made.stdout + made.stderr
