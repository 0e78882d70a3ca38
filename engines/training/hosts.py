"""The processes that train together, as torchrun starts them, and the device of this one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True, slots=True)
class Hosts:
    """This process is number `rank` of `world`."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.rank == 0

    def share(self, order: Tensor, batch: int) -> list[Tensor]:
        """This process's batches of an epoch; all have as many, and each epoch's rest is left."""
        each = len(order) // self.world
        own = order[self.rank :: self.world][:each]
        batches = list(torch.split(own, batch))
        # Batch normalisation cannot learn from a single row.
        return batches[:-1] if len(batches) > 1 and len(batches[-1]) < batch else batches

    def mean_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give all processes the mean of their gradients."""
        if self.world == 1:
            return
        for parameter in parameters:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            distributed.all_reduce(gradient)
            parameter.grad = gradient / self.world

    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes what the first one has."""
        if self.world > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)


@contextmanager
def joined() -> Iterator[Hosts]:
    """The processes of WORLD_SIZE, connected while in use; one alone without it."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    on_gpu = torch.cuda.is_available()
    place = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if on_gpu else "cpu"
    hosts = Hosts(rank, world, torch.device(place))
    if world == 1:
        yield hosts
        return
    if on_gpu:
        torch.cuda.set_device(hosts.device)
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield hosts
    finally:
        distributed.destroy_process_group()
