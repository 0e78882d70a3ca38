"""The timing cache: what TensorRT measured while it built, so that the next build is short.

TensorRT-RTX measures nothing while it builds, and warns of these calls.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from engines.tensorrt.folder import write_atomically

HASH_BYTES = hashlib.sha256().digest_size

log = logging.getLogger(__name__)


class Timing:
    """The timings of one version on one GPU, in a file; without a file they are not kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def give(self, config: Any) -> None:
        """Let a builder configuration start from what is known."""
        if self._path:
            cache = config.create_timing_cache(self._read(self._path))
            config.set_timing_cache(cache, False)  # False: it must be of this very GPU

    def keep(self, config: Any) -> None:
        """Store what a build with this configuration knows. Raises OSError."""
        if self._path:
            content = bytes(config.get_timing_cache().serialize())
            write_atomically(self._path, hashlib.sha256(content).digest() + content)

    def _read(self, path: Path) -> bytes:
        """The content, or nothing if it is damaged: then the build takes longer."""
        if not path.exists():
            return b""
        stored = path.read_bytes()
        content = stored[HASH_BYTES:]
        if hashlib.sha256(content).digest() != stored[:HASH_BYTES]:
            log.warning("%s: is damaged; the build starts without it", path)
            return b""
        return content
