"""CSI cameras: from csi://NUMBER to the GStreamer pipeline that OpenCV opens.

On a Jetson the camera is behind NVIDIA's Argus, elsewhere (Raspberry Pi) behind libcamera. The
pipeline keeps one picture, the newest: what is not read is dropped there, not queued.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import cv2

from pipeline.error import ConfigError

SCHEME = "csi"
TEGRA = Path("/etc/nv_tegra_release")  # on every Jetson
DEFAULTS = {"width": 1280, "height": 720, "fps": 30}
SINK = "video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"


def pipeline(source: str, *, is_jetson: bool | None = None) -> str:
    """The pipeline of csi://NUMBER?width=W&height=H&fps=F. Raises ConfigError."""
    number, size = _parsed(source)
    raw = "width={width},height={height},framerate={fps}/1".format(**size)
    if TEGRA.exists() if is_jetson is None else is_jetson:
        return (
            f"nvarguscamerasrc sensor-id={number}"
            f" ! video/x-raw(memory:NVMM),format=NV12,{raw}"
            f" ! nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! {SINK}"
        )
    # libcamera names cameras by their place in the device tree; the first one needs no name.
    if number:
        raise ConfigError(f"camera {source}: with libcamera only csi://0 is supported")
    return f"libcamerasrc ! video/x-raw,{raw} ! videoconvert ! {SINK}"


def check(source: str) -> None:
    """Raise ConfigError if the URL is malformed or this OpenCV, as PyPI's, has no GStreamer."""
    pipeline(source)
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise ConfigError(
            f"camera {source}: this OpenCV has no GStreamer; install the system's"
            " (python3-opencv) in place of opencv-python-headless, see deploy/jetson.md"
        )


def _parsed(source: str) -> tuple[int, dict[str, int]]:
    """The number of the camera, and its width, height and fps."""
    url = urlsplit(source)
    size = dict(DEFAULTS)
    for key, value in parse_qsl(url.query, keep_blank_values=True):
        if key not in size or not value.isdecimal() or not int(value):
            raise ConfigError(
                f"camera {source}: after ? stand width, height and fps, as width=1280"
            )
        size[key] = int(value)
    if not url.netloc.isdecimal() or url.path:
        raise ConfigError(f"camera {source}: write it as csi://0")
    return int(url.netloc), size
