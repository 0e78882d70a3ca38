"""One process of the run, as its supervisor has it: how to start it, and how it has fared."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time

from pipeline import boot
from pipeline.restart import Restarts

# Of numpy's matrix products, which are small here: threads that spin for them cost 70 ms a start.
THREADS = {"OPENBLAS_NUM_THREADS": "1"}

log = logging.getLogger(__name__)


class Child:
    """A process that runs `command`, a module and its arguments. A muted one is kept down."""

    def __init__(self, name: str, command: list[str], *, stdin: bool = False) -> None:
        self.name, self.restarts, self.muted = name, 0, False
        self._command, self._stdin = command, stdin
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = Restarts()
        self.starts, self.last_end = 0, ""
        self._crashed = self._dismissed = self._killed = False
        self._start_at_s = 0.0
        self.started_s = 0.0

    @property
    def pid(self) -> int:
        """The process id; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process by exec, never by fork alone."""
        module, *arguments = self._command
        stdin = None if self._stdin else subprocess.DEVNULL
        self._killed = False
        # Ctrl-C is for the supervisor. The child inherits the mask: not even its start is hit.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process = subprocess.Popen(
                boot.command(module, arguments), stdin=stdin, env={**THREADS, **os.environ}
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.started_s = time.monotonic()
        self.starts += 1

    @property
    def failed(self) -> bool:
        """Whether it crashed so often that it is only tried now and then."""
        return self._restarts.failed

    def fail(self) -> None:
        """Count it as failed: starting it again at once cannot help."""
        self._start_at_s = time.monotonic() + self._restarts.fail()

    def revive(self) -> None:
        """Start it if it is down, not muted, and its back-off is over."""
        if not self._process and not self.muted and time.monotonic() >= self._start_at_s:
            self.start()
            self.restarts += self._crashed

    def mute(self) -> None:
        """End the process and keep it down."""
        self.muted = True
        self._dismissed = self._process is not None
        self.send(signal.SIGTERM)

    def unmute(self) -> None:
        """Let a muted process start again, at once."""
        self.muted = self._crashed = False
        self._start_at_s = 0.0
        self._restarts.reset()

    def crashed(self) -> int | None:
        """The exit code, once, of a process that has ended without being told to."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        self._process = None
        if self._dismissed:
            self._dismissed = False
            return None
        now_s = time.monotonic()
        self._start_at_s = now_s + self._restarts.crash(now_s, now_s - self.started_s)
        self._crashed, self.last_end = True, _told(code)
        return code

    def send(self, signal_number: int) -> None:
        """Signal the process, if it is up."""
        if self._process:
            self._process.send_signal(signal_number)

    def kill(self, why: str) -> None:
        """End a process that hangs, once."""
        if self._process and not self._killed:
            log.warning("process=%s %s: killed", self.name, why)
            self._killed = True
            self._process.kill()

    def wait(self, deadline_s: float) -> None:
        """Wait for its end; at the deadline it is killed."""
        if not self._process:
            return
        try:
            self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill("did not stop in time")
            self._process.wait()
        self._process = None


def _told(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"
