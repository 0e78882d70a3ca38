"""Offsets of two streams, and the one line of a TOML file that says each: the rest stays as it is.

A file may be written in ways that this does not know; so the edited text is parsed, and taken only
if nothing but the key has changed.
"""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from pipeline.error import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEY = "offset_ms"
_HEADER = re.compile(r"\s*\[")
_VALUE = re.compile(rf"(\s*{KEY}\s*=\s*)([^\s#]+)(.*)", re.DOTALL)


def new_offsets(
    camera: tuple[str, float], microphone: tuple[str, float], late_ms: float
) -> dict[str, float]:
    """{stream: offset in ms}, from (stream, offset until now) and how late pictures still are.

    Both are 0 or more: it is the later device that is corrected. What both had is kept.
    """
    both_ms = min(camera[1], microphone[1])
    apart_ms = camera[1] - microphone[1] + late_ms
    return {
        camera[0]: round(both_ms + max(0.0, apart_ms), 1),
        microphone[0]: round(both_ms + max(0.0, -apart_ms), 1),
    }


def with_offsets(text: str, offsets: Mapping[str, float]) -> str:
    """The TOML text with these offsets. Raises ConfigError where it is written in another way."""
    for stream, offset_ms in offsets.items():
        kind, _, name = stream.partition("/")
        before = tomllib.loads(text)
        line = before.get(kind, {}).get(name, {})
        if offset_ms == line.get(KEY, 0.0):
            continue
        edited = _edited(text, kind, name, f"{offset_ms:g}")
        if edited is None or _parsed(edited) != _expected(before, kind, name, offset_ms):
            raise ConfigError(
                f"the table [{kind}.{name}] is written in a way that is not edited here;"
                f" write `{KEY} = {offset_ms:g}` into it"
            )
        text = edited
    return text


def write_offsets(path: Path, offsets: Mapping[str, float]) -> None:
    """Edit a file, whole or not at all. Raises ConfigError."""
    path = path.resolve()  # a link stays one
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        edited = with_offsets(text, offsets)
        if edited != text:
            _replace(path, edited)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777
    with NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=path.name, delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
            os.replace(file.name, path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _edited(text: str, kind: str, name: str, value: str) -> str | None:
    """The text with the key in the table's own lines; None if the table has no header."""
    lines = text.splitlines(keepends=True)
    quoted = rf"['\"]?{re.escape(name)}['\"]?"
    header = re.compile(rf"\s*\[\s*{kind}\s*\.\s*{quoted}\s*\]\s*(#.*)?$")
    begin = next((n for n, line in enumerate(lines) if header.match(line.rstrip())), None)
    if begin is None:
        return None
    last = begin
    for n in range(begin + 1, len(lines)):
        if _HEADER.match(lines[n]):
            break
        if found := _VALUE.fullmatch(lines[n]):
            lines[n] = found[1] + value + found[3]
            return "".join(lines)
        if (bare := lines[n].strip()) and not bare.startswith("#"):
            last = n
    ending = "\r\n" if lines[begin].endswith("\r\n") else "\n"
    lines[last] = lines[last].rstrip("\r\n") + ending
    return "".join([*lines[: last + 1], f"{KEY} = {value}{ending}", *lines[last + 1 :]])


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _expected(before: Mapping[str, Any], kind: str, name: str, value: float) -> dict[str, Any]:
    expected = copy.deepcopy(dict(before))
    expected[kind][name][KEY] = value
    return expected
