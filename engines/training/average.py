"""The running average of what is trained: better than its last state, and as quick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

WARM_UP = 10  # the first steps forget faster


class Average:
    """An exponential average of a module's state, buffers too."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay, self._n = module, decay, 0
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def add(self) -> None:
        """Take in the module as it is now."""
        self._n += 1
        decay = min(self._decay, self._n / (self._n + WARM_UP))
        for name, value in self._module.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value, 1.0 - decay)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The module has the average while in use, and is in evaluation."""
        live = {name: value.clone() for name, value in self._module.state_dict().items()}
        self._module.load_state_dict(self.state)
        self._module.eval()
        yield
        self._module.load_state_dict(live)
        self._module.train()

    def dump(self) -> dict[str, Tensor | int]:
        """What `restore` takes."""
        return {**self.state, "": self._n}

    def restore(self, dumped: dict[str, Tensor | int]) -> None:
        """Go on from a dump."""
        self._n = int(dumped[""])
        for name, value in self.state.items():
            found = dumped[name]
            assert isinstance(found, Tensor)
            value.copy_(found)
