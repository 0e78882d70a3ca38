"""The virtual sound card, for the tests of the microphone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import VirtualMicrophone


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualMicrophone:
    return VirtualMicrophone(tmp_path, monkeypatch)


@pytest.fixture
def pulse(room: VirtualMicrophone) -> Iterator[subprocess.Popen[bytes]]:
    """A running sound daemon."""
    with room.daemon() as daemon:
        yield daemon
