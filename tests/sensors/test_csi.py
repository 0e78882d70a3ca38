"""CSI cameras: what is asked of GStreamer, and pictures through it where OpenCV has it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pipeline.error import ConfigError
from pipeline.stream import Camera
from sensors.camera import frames
from sensors.csi import pipeline

ROOT = Path(__file__).parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"

# The camera's own element is replaced by GStreamer's test picture; all the rest is as it is.
SEEN = """
import sys
sys.path[:] = [sys.argv[1], *sys.path[1:], sys.argv[2]]
import cv2
if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
    sys.exit(77)
from pipeline.stream import Camera
from sensors import csi
from sensors.camera import frames
asked = csi.pipeline
csi.pipeline = lambda source: asked(source, is_jetson=False).replace(
    "libcamerasrc", "videotestsrc is-live=true pattern=white")
source = frames(Camera(source="csi://0?width=320&height=240", rate_hz=10), stream="camera/a")
seen = [frame for frame, _ in zip(filter(None, source), range(5))]
source.close()
steps_s = [(b.t_capture_ns - a.t_capture_ns) / 1e9 for a, b in zip(seen, seen[1:])]
print(seen[-1].pixels.shape, seen[-1].pixels.mean() > 200, all(0.03 < s < 0.5 for s in steps_s))
"""


def test_the_pipeline_of_a_jetson_scales_on_its_hardware() -> None:
    assert pipeline("csi://1?width=640&height=480&fps=15", is_jetson=True) == (
        "nvarguscamerasrc sensor-id=1"
        " ! video/x-raw(memory:NVMM),format=NV12,width=640,height=480,framerate=15/1"
        " ! nvvidconv ! video/x-raw,format=BGRx ! videoconvert"
        " ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
    )


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("csi://", "write it as csi://0"),
        ("csi://front", "write it as csi://0"),
        ("csi://0/a", "write it as csi://0"),
        ("csi://0?hight=3", "width, height and fps"),
        ("csi://0?width=", "width, height and fps"),
        ("csi://0?width=0", "width, height and fps"),
    ],
)
def test_a_malformed_address_says_how_to_write_it(source: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        next(frames(Camera(source=source), stream="camera/a"))


def test_libcamera_has_one_camera() -> None:
    with pytest.raises(ConfigError, match="only csi://0"):
        pipeline("csi://1", is_jetson=False)


def test_an_opencv_without_gstreamer_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match="no GStreamer; install"):
        next(frames(Camera(source="csi://0"), stream="camera/a"))


def test_pictures_come_through_the_opencv_of_the_system() -> None:
    packages = sysconfig.get_path("purelib")
    command = [SYSTEM_PYTHON, "-c", SEEN, str(ROOT), packages]
    if not Path("/usr/lib/python3/dist-packages/cv2.cpython-311-x86_64-linux-gnu.so").exists():
        pytest.skip("python3-opencv for Python 3.11 not installed: run `make system`")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the packages beside python3-opencv are those of another Python")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "(240, 320, 3) True True"
