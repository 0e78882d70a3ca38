"""What a configuration needs of a machine, and whether the findings have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.doctor.finding import Finding
from pipeline.config import Config

OF_BACKEND: Mapping[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime",),
    "onnxruntime-cuda": ("CUDA driver",),
    "openvino": ("openvino",),
    "tensorrt": ("CUDA driver", "tensorrt", "pycuda", "engine cache"),
    "tensorrt-rtx": ("CUDA driver", "tensorrt-rtx", "pycuda", "engine cache"),
}
SOUND_FILES = (".wav", ".flac", ".ogg")


def needs(config: Config) -> dict[str, str]:
    """{what a finding is about: who needs it}."""
    backend = config.fusion.backend
    found = dict.fromkeys(OF_BACKEND.get(backend, ()), f'backend = "{backend}"')
    for name, camera in config.camera.items():
        source = str(camera.source)
        if source.startswith("csi://"):
            found.setdefault("OpenCV GStreamer", f"camera.{name}")
        elif source.isdecimal() or source.startswith("/dev/"):
            found.setdefault("cameras", f"camera.{name}")
    for name, microphone in config.microphone.items():
        if _is_device(str(microphone.source)):
            found.setdefault("PortAudio", f"microphone.{name}")
            found.setdefault("microphones", f"microphone.{name}")
    return found


def unmet(findings: Iterable[Finding], wanted: Mapping[str, str]) -> dict[str, str]:
    """{what: who needs it} of what is wanted and not ok."""
    fine = {finding.what for finding in findings if finding.state == "ok"}
    return {what: who for what, who in wanted.items() if what not in fine}


def _is_device(source: str) -> bool:
    """Whether a microphone is an input of this machine."""
    other = source in ("", "simulator") or "://" in source
    return not other and Path(source).suffix.lower() not in SOUND_FILES
