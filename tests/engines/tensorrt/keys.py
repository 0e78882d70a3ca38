"""Keys of engines, as tests want them."""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec.structs import replace

from engines.tensorrt.sidecar import Key

ORIN = Key(
    graph_sha256="",
    precision="fp16",
    backend="tensorrt",
    version="10.3.0",
    machine="aarch64",
    gpu="Orin, 16 multiprocessors",
    compute_capability="sm_87",
    driver="540.4.0",
    profile="batch 1",
    flags=(),
)


def key(graph: str = "image.onnx", **changes: Any) -> Key:
    return replace(ORIN, graph_sha256=hashlib.sha256(graph.encode()).hexdigest(), **changes)
