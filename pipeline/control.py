"""The control endpoint of a run: typed requests and replies over a private ipc socket."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import zmq
from msgspec import Struct

from pipeline.config import runtime_root
from pipeline.error import ControlError
from pipeline.run_directory import LOCK, is_claimed

TIMEOUT_MS = 2000
MAX_REQUEST_BYTES = 4096
Command: TypeAlias = Literal["status", "mute", "unmute", "stop", "trigger"]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked of a run; `stream` is that of mute and unmute."""

    command: Command
    stream: str = ""


class ProcessStatus(Struct, frozen=True, kw_only=True):
    """One process of the run, or a stream of another, as the supervisor sees it.

    `rate_hz` is that of its samples or predictions over the last seconds, where there is one.
    """

    name: str
    pid: int
    state: str
    restarts: int
    last_error: str
    counters: dict[str, int]
    faults: list[str] = []
    rate_hz: float | None = None


class Reply(Struct, frozen=True, kw_only=True):
    """The answer; `error` is empty if the request was carried out."""

    error: str = ""
    processes: list[ProcessStatus] = []


class ControlServer:
    """Answers requests when polled; only this user may connect."""

    def __init__(self, endpoint: str, handle: Callable[[Request], Reply]) -> None:
        self._handle = handle
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._socket.bind(endpoint)
        self._path = Path(endpoint.removeprefix("ipc://"))
        os.chmod(self._path, 0o600)

    def serve(self) -> None:
        """Answer what has been asked since the last call."""
        while self._socket.poll(0):
            reply = self._answer(self._socket.recv_multipart())
            self._socket.send(msgspec.json.encode(reply))

    def _answer(self, parts: list[bytes]) -> Reply:
        if len(parts) != 1:
            return Reply(error=f"not a request: {len(parts)} parts instead of one")
        try:
            return self._handle(msgspec.json.decode(parts[0], type=Request))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return Reply(error=f"not a request: {error}")

    def close(self) -> None:
        """Stop listening, after the last reply has left."""
        self._socket.close()
        self._context.term()
        self._path.unlink(missing_ok=True)


def request(run_dir: Path, command: Command, stream: str = "") -> Reply:
    """Ask a running pipeline. Raises ControlError if it refuses or does not answer."""
    path = run_dir / "control.ipc"
    if not _is_running(run_dir):
        raise ControlError(f"{run_dir}: nothing runs here")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        reply = _exchange(context, path, Request(command=command, stream=stream))
    finally:
        context.destroy(linger=0)
    if reply.error:
        raise ControlError(reply.error)
    return reply


def _exchange(context: zmq.Context[Any], path: Path, question: Request) -> Reply:
    socket = context.socket(zmq.REQ)
    socket.connect(f"ipc://{path}")
    socket.send(msgspec.json.encode(question))
    if not socket.poll(TIMEOUT_MS):
        raise ControlError(f"{path}: no answer within {TIMEOUT_MS / 1000:g} s")
    return msgspec.json.decode(socket.recv(), type=Reply)


def find_run(name: str) -> Path:
    """The run directory of the named run, or of the only one. Raises ControlError."""
    if name:
        return runtime_root() / name
    runs = [path for path in runtime_root().glob("*") if _is_running(path)]
    if len(runs) != 1:
        names = ", ".join(sorted(path.name for path in runs)) or "none"
        raise ControlError(f"which run? running: {names}; name one with --run")
    return runs[0]


def _is_running(run_dir: Path) -> bool:
    """Whether a supervisor answers there; one that was killed leaves its socket, but no lock."""
    return (run_dir / "control.ipc").exists() and is_claimed(run_dir / LOCK)
