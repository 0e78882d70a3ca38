"""An open sound input, and the only calls to PortAudio.

PortAudio reads the list of devices once, so every opening starts it anew. Opening and closing hang
as long as a sound server is frozen; both run in a thread of their own, with a time limit.
"""

from __future__ import annotations

import importlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, NamedTuple

from pipeline.error import ConfigError, SensorHungError, SensorLostError
from pipeline.sample import Int16Array

BLOCK_MS = 20  # fixed: with a size of its own choice PortAudio gives odd blocks
CALL_LIMIT_S = 2.0
SYSTEM_PACKAGES = {"sounddevice": "libportaudio2", "soundfile": "libsndfile1"}


class Block(NamedTuple):
    """Sound as it came: int16 (n, channels), the time of its first sample, whether some is lost."""

    pcm: Int16Array
    captured_ns: int
    overflow: bool


class SoundInput:
    """A running input: `blocks` fills until `finished` is set."""

    def __init__(self, source: str | int, preferred_hz: int) -> None:
        """Raises ConfigError, SensorLostError, SensorHungError."""
        self.source = source
        self.blocks: queue.SimpleQueue[Block] = queue.SimpleQueue()
        self.finished = threading.Event()
        # A name goes to PortAudio as it is, a number as an index.
        self._device = int(source) if str(source).isdecimal() else source
        self.rate_hz, self.n_channels = preferred_hz, 1
        self._stream = self._limited("opening", self._open)

    def close(self) -> None:
        """Release the device. Raises SensorHungError."""
        self._limited("closing", lambda: self._stream.close(ignore_errors=True))

    def put(self, pcm: Int16Array, frames: int, times: Any, status: Any) -> None:
        """PortAudio's callback. Its times are of the wall clock: only their difference is used.

        Some sound servers claim ages down to 0; but when a block comes, all its sound has been.
        """
        age_s = max(times.currentTime - times.inputBufferAdcTime, frames / self.rate_hz)
        captured_ns = time.monotonic_ns() - int(age_s * 1e9)
        self.blocks.put(Block(pcm.copy(), captured_ns, bool(status.input_overflow)))

    def _open(self) -> Any:
        # The import asks the sound server already.
        sounddevice = imported("sounddevice")
        try:
            restart(sounddevice)
            self.rate_hz, self.n_channels = self._format(sounddevice)
            stream = sounddevice.InputStream(
                device=self._device,
                samplerate=self.rate_hz,
                channels=self.n_channels,
                dtype="int16",
                blocksize=self.rate_hz * BLOCK_MS // 1000,
                latency="low",
                callback=self.put,
                finished_callback=self.finished.set,
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise SensorLostError(f"microphone {self.source}: {reason}") from error
        return stream

    def _format(self, sounddevice: Any) -> tuple[int, int]:
        """The first rate and number of channels that the device takes, the wanted ones first."""
        info = sounddevice.query_devices(self._device, "input")
        for rate_hz in (self.rate_hz, int(info["default_samplerate"])):
            for n_channels in (1, info["max_input_channels"]):
                try:
                    sounddevice.check_input_settings(
                        self._device, n_channels, "int16", samplerate=rate_hz
                    )
                except sounddevice.PortAudioError:
                    continue
                return rate_hz, n_channels
        return int(info["default_samplerate"]), info["max_input_channels"]

    def _limited(self, what: str, call: Callable[[], Any]) -> Any:
        outcome: Future[Any] = Future()

        def run() -> None:
            try:
                outcome.set_result(call())
            except (ConfigError, SensorLostError) as error:
                outcome.set_exception(error)

        threading.Thread(target=run, name=f"microphone {what}", daemon=True).start()
        try:
            return outcome.result(CALL_LIMIT_S)
        except FutureTimeoutError as error:
            raise SensorHungError(f"microphone {self.source}: {what} it does not return") from error


def restart(sounddevice: Any) -> None:
    """Read the list of devices anew. These are private names: they stand only here."""
    while sounddevice._initialized:
        sounddevice._terminate()
    sounddevice._initialize()


def imported(name: str) -> Any:
    """A module of the optional part `microphone`. Raises ConfigError saying what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"a microphone needs {name}: pip install 'sensorium[microphone]'"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{name} needs a system library: on Debian, apt-get install {SYSTEM_PACKAGES[name]}"
        ) from error
