"""Cameras and microphones, and the libraries that open them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from deploy.doctor.finding import Finding, absent, ok, output_of, text_of, wrong

VIDEO = Path("/sys/class/video4linux")
# In a process of its own: PortAudio hangs while a sound server is frozen.
LIST_INPUTS = """
import json, sys
try:
    import sounddevice
except ImportError:
    print(json.dumps({"missing": "module"})); sys.exit()
except OSError:
    print(json.dumps({"missing": "library"})); sys.exit()
names = [d["name"] for d in sounddevice.query_devices() if d["max_input_channels"]]
print(json.dumps({"version": sounddevice.get_portaudio_version()[1], "inputs": names}))
"""


class Sound(msgspec.Struct, frozen=True):
    """What PortAudio says."""

    missing: str = ""
    version: str = ""
    inputs: tuple[str, ...] = ()


def device_findings() -> Iterator[Finding]:
    """OpenCV's GStreamer, cameras, PortAudio and microphones."""
    yield _gstreamer()
    yield cameras(VIDEO)
    yield from sound(output_of([sys.executable, "-c", LIST_INPUTS]))


def _gstreamer() -> Finding:
    import cv2

    # The registry lists GStreamer even where the library was built without it.
    found = re.search(r"GStreamer: *(\S+)(?: \(([\d.]+)\))?", cv2.getBuildInformation())
    if found and found[1] == "YES":
        return ok("OpenCV GStreamer", f"OpenCV {cv2.__version__}, GStreamer {found[2] or ''}")
    todo = "for csi:// cameras: the system's python3-opencv, see deploy/jetson.md"
    return absent("OpenCV GStreamer", f"OpenCV {cv2.__version__} was built without it", todo)


def cameras(folder: Path) -> Finding:
    """Local cameras, by the kernel's list. A camera has several nodes: the first is the picture."""
    nodes = sorted(p for p in folder.glob("video*") if text_of(p / "index") in ("", "0"))
    if not nodes:
        return absent("cameras", "no /dev/video*: none is plugged in, or its driver is missing")
    found = [f"/dev/{node.name} {text_of(node / 'name')}".strip() for node in nodes]
    closed = [n.name for n in nodes if not os.access(f"/dev/{n.name}", os.R_OK | os.W_OK)]
    if closed:
        todo = "sudo usermod -aG video $USER, then log in again; in a container: --device"
        return wrong("cameras", f"{', '.join(found)}: {', '.join(closed)} may not be opened", todo)
    return ok("cameras", ", ".join(found))


def sound(said: str | None) -> Iterator[Finding]:
    """From what LIST_INPUTS prints."""
    try:
        heard = msgspec.json.decode(said or "", type=Sound)
    except msgspec.DecodeError:
        todo = "systemctl --user restart pipewire pulseaudio"
        yield wrong("PortAudio", "it does not answer: is a sound server frozen?", todo)
        return
    if heard.missing:
        module = heard.missing == "module"
        todo = "pip install 'sensorium[microphone]'" if module else "apt install libportaudio2"
        thing = "sounddevice is not installed" if module else "the library is not installed"
        yield absent("PortAudio", thing, todo)
        return
    yield ok("PortAudio", heard.version.removeprefix("PortAudio ").partition(",")[0])
    if heard.inputs:
        yield ok("microphones", ", ".join(heard.inputs))
    else:
        todo = "arecord -l; the user must be in the group audio"
        yield absent("microphones", "no input: none is plugged in, or it may not be used", todo)
