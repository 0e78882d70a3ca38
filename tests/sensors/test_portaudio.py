"""An open input: its callback, and what it says when it cannot be had."""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.error import ConfigError
from sensors.portaudio import Block, SoundInput
from tests import parts
from tests.parts import VirtualMicrophone

RATE_HZ = 16_000
MS = 1_000_000
NOTICE_S = 3.0


@pytest.mark.parametrize(("claimed_age_s", "age_ms"), [(0.25, 250), (0.0, 20), (-0.4, 20)])
def test_the_callback_notes_what_came_and_when(claimed_age_s: float, age_ms: int) -> None:
    sounddevice = parts.needs_portaudio()
    noted: queue.SimpleQueue[Block] = queue.SimpleQueue()
    device: Any = SimpleNamespace(blocks=noted, rate_hz=RATE_HZ)
    pcm = np.ones((320, 1), np.int16)
    times = SimpleNamespace(currentTime=100.0, inputBufferAdcTime=100.0 - claimed_age_s)
    before_ns = time.monotonic_ns()
    SoundInput.put(device, pcm, 320, times, sounddevice.CallbackFlags(0x2))
    after_ns = time.monotonic_ns()
    pcm[:] = 9
    got = noted.get_nowait()
    assert got.overflow
    assert got.pcm.max() == 1
    assert before_ns <= got.captured_ns + age_ms * MS + MS // 1000 <= after_ns + MS // 500


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"'sensorium\[microphone\]'"):
        SoundInput(0, RATE_HZ)


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(ConfigError, match="libportaudio2"):
        SoundInput(0, RATE_HZ)


HEAR_UNTIL_HUNG = """
import os
from pipeline.stream import Microphone
from pipeline.error import SensorHungError
from sensors.microphone import chunks
try:
    for chunk in chunks(Microphone(source="pulse"), stream="microphone/room"):
        chunk and print(chunk.seq, flush=True)
except SensorHungError as error:
    print(error, flush=True)
    os._exit(7)
"""


@pytest.mark.slow
def test_a_frozen_sound_server_needs_a_new_process(room: VirtualMicrophone, pulse: Any) -> None:
    """PortAudio is of no use in a process where one of its calls hangs: so it is a child here."""
    command = [sys.executable, "-c", HEAR_UNTIL_HUNG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "0\n"
        with parts.frozen(pulse):
            assert child.wait(NOTICE_S + 1) == 7
            *_, said = child.stdout.read().splitlines()
            assert said == "microphone pulse: closing it does not return"
            # The new process meets the same daemon.
            assert subprocess.run(command, check=False, timeout=20).returncode == 7
