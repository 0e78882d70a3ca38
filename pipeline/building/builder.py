"""The process that builds engines, as its parent sees it."""

from __future__ import annotations

import os
import signal
import subprocess

import msgspec

from engines.builder import Line
from engines.error import EngineError
from pipeline import boot
from pipeline.config import Fusion

END_S = 0.3  # for a builder that was told to end; its cache outlives being killed

_decoder = msgspec.json.Decoder(Line)


def command(fusion: Fusion) -> list[str]:
    """The module, and its arguments, that builds the engines of a configuration."""
    return ["engines.builder", fusion.bundle, fusion.backend, fusion.precision, fusion.engine_cache]


class Builder:
    """A running builder. `said` is its newest progress, in words."""

    def __init__(self, command: list[str]) -> None:
        """`command` is a module and its arguments; it writes lines as engines.builder does."""
        module, *arguments = command
        self._process = subprocess.Popen(
            boot.command(module, arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout.fileno()
        os.set_blocking(self._stdout, False)
        self._rest, self._error, self.said = b"", "", "building"

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def poll(self) -> bool:
        """Whether everything is built. Raises EngineError if it failed."""
        code = self._process.poll()
        self._read()
        if code is None:
            return False
        if code:
            raise EngineError(self._error or f"the builder ended with exit code {code}")
        return True

    def close(self) -> None:
        """End it, if it has not ended; what it has built stays."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        while chunk := self._chunk():
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for text in lines:
                self._take(text)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._stdout, 65536)
        except BlockingIOError:
            return b""

    def _take(self, text: bytes) -> None:
        try:
            line = _decoder.decode(text)
        except msgspec.MsgspecError:
            return  # libraries write to stdout as well
        self._error = line.error or self._error
        if line.progress:
            self.said = str(line.progress)
