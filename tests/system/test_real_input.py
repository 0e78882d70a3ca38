"""Every real input at once: recorded video three ways, sound two ways, text four ways, numbers.

`pytest tests/system/test_real_input.py --real-seconds 120` is the long form.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import pytest
import zmq

from tests import parts
from tests.system.run import Run, assert_every_tick, left_behind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TEXT_HZ = 4.0
RATE_TOLERANCE = 0.02
MAX_GROWTH_BYTES = 2 * 2**20

CONFIG = """
name = "real"
[camera.file]
source = "{video}"
loop = true
max_age_ms = 1000
[camera.rtsp]
source = "{rtsp}"
max_age_ms = 600
[camera.mjpeg]
source = "{mjpeg}"
max_age_ms = 1000
[microphone.virtual]
source = "pulse"
max_age_ms = 800
[microphone.file]
source = "{voice}"
loop = true
[text.stdin]
source = "stdin"
[text.followed]
source = "{followed}"
[text.tcp]
source = "tcp://127.0.0.1:{text_port}"
[text.zmq]
source = "zmq://127.0.0.1:{zmq_port}"
[readings.tcp]
source = "tcp://127.0.0.1:{readings_port}"
[out]
jsonl = "-"
"""


@dataclass
class Feeder:
    """Writes a line a quarter of a second to everything that takes lines, and counts them."""

    run: Run
    settings: dict[str, Any]
    n_sent: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Feeder:
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()

    def work(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with ExitStack() as stack:
            tcp, numbers = (stack.enter_context(self._connect(p)) for p in ("text", "readings"))
            push = stack.enter_context(context.socket(zmq.PUSH))
            push.linger = 0
            push.connect(f"tcp://127.0.0.1:{self.settings['zmq_port']}")
            followed = stack.enter_context(open(self.settings["followed"], "ab", buffering=0))
            assert self.run.process.stdin is not None
            next_s = time.monotonic()
            while not self.stopping.wait(max(0.0, next_s - time.monotonic())):
                next_s += 1 / TEXT_HZ
                line = b"the doorbell rang, time %d\n" % self.n_sent
                self.run.process.stdin.write(line)
                self.run.process.stdin.flush()
                followed.write(line)
                tcp.sendall(b'{"text": "door open", "room": "hall"}\n')
                push.send(line)
                numbers.sendall(b'{"temperature": 21.5}\n')
                self.n_sent += 1
        context.term()

    def _connect(self, kind: str) -> socket.socket:
        port = self.settings[f"{kind}_port"]
        parts.wait_until(lambda: parts.answers(port))
        return socket.create_connection(("127.0.0.1", port))


@dataclass
class Inputs:
    """The real parts of one run, and what each has delivered so far."""

    run: Run
    rtsp: subprocess.Popen[bytes]
    daemon: subprocess.Popen[bytes]
    start_again: dict[str, Callable[[], None]]
    delivered: dict[str, Callable[[], float]]
    feeder: Feeder


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inputs]:
    video, voice = parts.real_video(), parts.real_voice()
    long_video, counted = looped(video, tmp_path / "long.mkv"), tmp_path / "counted"
    settings: dict[str, Any] = {"video": video, "voice": voice, "followed": tmp_path / "events.log"}
    settings |= {f"{kind}_port": parts.free_port() for kind in ("text", "zmq", "readings")}
    settings["followed"].touch()
    launch = f"filesrc location={long_video} ! matroskademux ! h264parse"
    microphone = parts.VirtualMicrophone(tmp_path, monkeypatch)
    with ExitStack() as stack:
        port = parts.free_port()
        settings["rtsp"], rtsp = stack.enter_context(parts.rtsp_camera(port, launch, counted))
        mjpeg = stack.enter_context(parts.mjpeg_camera(itertools.cycle(jpegs(video)).__next__))
        settings["mjpeg"] = mjpeg.url
        daemon = stack.enter_context(microphone.daemon())
        sound = looped_voice(voice, tmp_path / "long.wav")
        stack.enter_context(microphone.playing(sound))

        def rtsp_again() -> None:
            stack.enter_context(parts.rtsp_camera(port, launch, counted))

        def daemon_again() -> None:
            stack.enter_context(microphone.daemon())
            stack.enter_context(microphone.playing(sound))

        run = stack.enter_context(Run(tmp_path, CONFIG.format(**settings)))
        feeder = stack.enter_context(Feeder(run, settings))
        texts = {
            f"text/{name}": lambda: feeder.n_sent for name in ("stdin", "followed", "tcp", "zmq")
        }
        delivered: dict[str, Callable[[], float]] = {
            "camera/file": lambda: time.monotonic() * 25.0,  # by its own time stamps
            "camera/rtsp": lambda: int(counted.read_text() or 0),
            "camera/mjpeg": lambda: mjpeg.n_sent,
            "microphone/virtual": lambda: time.monotonic() * 10.0,  # chunks of 100 ms
            "microphone/file": lambda: time.monotonic() * 10.0,
            "readings/tcp": lambda: feeder.n_sent,
            **texts,
        }
        again = {"camera/rtsp": rtsp_again, "microphone/virtual": daemon_again}
        yield Inputs(run, rtsp, daemon, again, delivered, feeder)


def looped(video: Path, path: Path) -> Path:
    """The same recording, over and over for ten minutes."""
    parts.needs("ffmpeg")
    command = ["ffmpeg", "-v", "error", "-stream_loop", "60", "-i", str(video), "-an"]
    subprocess.run([*command, "-c:v", "copy", str(path)], check=True)
    return path


def looped_voice(voice: Path, path: Path) -> Path:
    parts.needs("sox")
    subprocess.run(["sox", str(voice), str(path), "repeat", "400"], check=True)
    return path


def jpegs(video: Path) -> list[bytes]:
    """The pictures of a recording, as an MJPEG camera sends them."""
    capture, pictures = cv2.VideoCapture(str(video)), []
    while (read := capture.read())[0]:
        pictures.append(cv2.imencode(".jpg", read[1])[1].tobytes())
    capture.release()
    return pictures


def sequence(prediction: dict[str, Any]) -> dict[str, int]:
    return {stream: used[0][0] for stream, used in prediction["inputs"].items()}


def resident_bytes(run: Run) -> dict[str, int]:
    pids = {name: process["pid"] for name, process in run.status().items()}
    pids["supervisor"] = run.process.pid
    return {name: resident(pid) for name, pid in pids.items()}


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_all_at_once(inputs: Inputs, request: pytest.FixtureRequest) -> None:
    """Rates as delivered, one line a tick, nothing missing, no memory growth."""
    run, seconds = inputs.run, request.config.getoption("--real-seconds")
    run.until(lambda prediction: not prediction["missing"])
    started_s = time.monotonic()
    first = run.until(lambda _: time.monotonic() - started_s >= seconds / 4, seconds)
    before, bytes_before = counts(inputs), resident_bytes(run)
    last = run.until(lambda _: time.monotonic() - started_s >= seconds, 2 * seconds)
    after, bytes_after = counts(inputs), resident_bytes(run)

    assert_every_tick(run.predictions)
    settled = [p for p in run.predictions if p["tick"] >= first["tick"]]
    assert [p["missing"] for p in settled if p["missing"]] == []
    received = {s: n - sequence(first)[s] for s, n in sequence(last).items()}
    expected = {s: after[s] - before[s] for s in received}
    off = {s: received[s] / expected[s] - 1 for s in received}
    # Two readings of a counter are off by one sample at most.
    assert not {s: x for s, x in off.items() if abs(x) > RATE_TOLERANCE + 1.5 / expected[s]}, off
    growth = {name: bytes_after[name] - size for name, size in bytes_before.items()}
    assert max(growth.values()) < MAX_GROWTH_BYTES, growth
    inputs.feeder.stop()
    took_s = run.stop()
    print({"rates off by": off, "memory growth": growth, "stopped in s": took_s})  # noqa: T201
    assert left_behind(run.folder) == []


def counts(inputs: Inputs) -> dict[str, float]:
    return {stream: count() for stream, count in inputs.delivered.items()}


def test_servers_die_and_come_back(inputs: Inputs) -> None:
    """While the RTSP server or the sound daemon is dead, predictions go on without its stream."""
    run = inputs.run
    run.until(lambda prediction: not prediction["missing"])
    for process, stream in ((inputs.rtsp, "camera/rtsp"), (inputs.daemon, "microphone/virtual")):
        os.kill(process.pid, signal.SIGKILL)
        run.until(lambda p: stream in p["missing"])  # noqa: B023
        parts.wait_until(lambda: run.status()[stream]["state"] == "lost")  # noqa: B023
        inputs.start_again[stream]()
        run.until(lambda p: stream not in p["missing"], 60.0)  # noqa: B023
    assert_every_tick(run.predictions)
