"""Memory that is allocated once: the tensors of one direction, side by side.

One block of pinned memory and one on the device, so that one copy moves all inputs, and one all
outputs. A GPU that shares the CPU's memory reads and writes the pinned block itself: no copy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import TensorSpec

ALIGNMENT_BYTES = 256  # TensorRT asks it of every address


class Block:
    """The inputs, or the outputs. Needs the context to be current in every call."""

    def __init__(self, pycuda: Any, specs: Mapping[str, TensorSpec], *, is_mapped: bool) -> None:
        self._pycuda = pycuda
        offsets, n_bytes = _layout(specs)
        flags = pycuda.host_alloc_flags.DEVICEMAP if is_mapped else 0
        self._host: Any = pycuda.pagelocked_empty(n_bytes, np.uint8, mem_flags=flags)
        self._device: Any = None
        if is_mapped:
            start = int(self._host.base.get_device_pointer())
        else:
            try:
                self._device = pycuda.mem_alloc(n_bytes)
            except pycuda.Error:
                self._host.base.free()
                raise
            start = int(self._device)
        self.arrays: dict[str, npt.NDArray[Any]] = {}
        for name, spec in specs.items():
            part = self._host[offsets[name] : offsets[name] + _n_bytes(spec)]
            self.arrays[name] = part.view(spec.dtype).reshape(spec.shape)
        self.addresses = {name: start + offset for name, offset in offsets.items()}

    def upload(self, stream: Any) -> None:
        """Enqueue the copy to the device, where one is needed."""
        if self._device is not None:
            self._pycuda.memcpy_htod_async(self._device, self._host, stream)

    def download(self, stream: Any) -> None:
        """Enqueue the copy from the device, where one is needed."""
        if self._device is not None:
            self._pycuda.memcpy_dtoh_async(self._host, self._device, stream)

    def free(self) -> None:
        """Give the memory back; nothing may be under way on it."""
        self.arrays.clear()
        if self._device is not None:
            self._device.free()
        self._host.base.free()


def _layout(specs: Mapping[str, TensorSpec]) -> tuple[dict[str, int], int]:
    """Where each tensor begins, and the size of all, in bytes."""
    offsets, n_bytes = {}, 0
    for name, spec in specs.items():
        offsets[name] = n_bytes
        n_bytes += math.ceil(_n_bytes(spec) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return offsets, n_bytes


def _n_bytes(spec: TensorSpec) -> int:
    return spec.dtype.itemsize * math.prod(spec.shape)
