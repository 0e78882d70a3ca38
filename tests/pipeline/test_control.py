"""The control endpoint: odd requests, and runs that are no more."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from pipeline.control import ControlServer, Reply, find_run, request
from pipeline.error import ControlError
from pipeline.run_directory import LOCK, claim

LIMIT_S = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    server = ControlServer(f"ipc://{tmp_path}/control.ipc", lambda request: Reply())
    yield server
    server.close()


def test_what_is_no_request_is_answered_and_the_next_one_too(
    server: ControlServer, tmp_path: Path
) -> None:
    good = b'{"command": "stop"}'
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.connect(f"ipc://{tmp_path}/control.ipc")
        for parts, error in (
            ([good, good], "not a request: 2 parts"),
            ([b"\xff"], "not a request"),
            ([b""], "not a request"),
            ([good], ""),
        ):
            client.send_multipart(parts)
            deadline_s = time.monotonic() + LIMIT_S
            while not client.poll(10):
                assert time.monotonic() < deadline_s
                server.serve()
            reply = msgspec.json.decode(client.recv(), type=Reply)
            assert reply.error.startswith(error)
            assert bool(reply.error) == bool(error)


def test_a_run_whose_supervisor_was_killed_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    runs = [tmp_path / "sensorium" / name for name in ("dead", "live")]
    for path in runs:
        path.mkdir(parents=True)
        (path / "control.ipc").touch()
        (path / LOCK).touch()
    with pytest.raises(ControlError, match="running: none"):
        find_run("")
    lock = claim(runs[1] / LOCK)
    assert find_run("") == runs[1]
    with pytest.raises(ControlError, match="nothing runs here"):
        request(runs[0], "status")
    os.close(lock)
