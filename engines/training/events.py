"""TensorBoard events, where a package that writes them is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = {"tensorboard": "torch.utils.tensorboard", "tensorboardX": "tensorboardX"}


class Events:
    """Writes scalars into a folder for TensorBoard; without a folder or a package, nothing."""

    def __init__(self, folder: Path | None) -> None:
        found = [module for package, module in PACKAGES.items() if find_spec(package)]
        self._writer: Any = None
        if folder is not None and found:
            self._writer = import_module(found[0]).SummaryWriter(str(folder / "events"))

    def write(self, stage: str, epoch: int, values: Mapping[str, float]) -> None:
        """Add values of an epoch of a stage."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{stage}/{name}", value, epoch)
            self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
