"""The loop of every stage: epochs of steps, an average, a fold that stops it, checkpoints.

Each epoch draws its random numbers from (seed, stage, epoch) alone, so that a training that was
killed goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engines.training import checkpoint
from engines.training.average import Average
from engines.training.course import Course, steps_an_epoch
from engines.training.order import epoch_order, seed_of
from engines.training.progress import Progress
from engines.training.stage import Stage, make_optimizer

FOLD_BATCH = 512
STEEPEST = 1.0  # the norm to which gradients are cut


class Run:
    """One stage under way."""

    def __init__(self, stage: Stage, course: Course) -> None:
        self._stage, self._course, recipe = stage, course, course.recipe
        self._key = course.key if stage.fuses else course.key_alone
        self._seed = seed_of(recipe.seed, zlib.crc32(stage.name.encode()))
        stage.parts.to(course.hosts.device)
        self.n_steps = steps_an_epoch(course.n_rows, recipe.batch, course.hosts)
        self._optimizer, self._schedule = make_optimizer(stage, recipe, self.n_steps * stage.epochs)
        self._half = course.hosts.device.type == "cuda"
        self._scaler = torch.amp.GradScaler("cuda", enabled=self._half)
        self._average = Average(stage.parts, recipe.average)
        self._best, self._best_loss, self._since = self._average.dump(), math.inf, 0
        self.epoch = 0
        self._resume()

    def finish(self) -> None:
        """Train to the end; the parts end up as the best average."""
        course, stage = self._course, self._stage
        while self.epoch < stage.epochs and not self._stalled:
            loss = self._train_epoch()
            fold_loss = self._judge()
            self.epoch += 1
            self._save()
            self._tell(loss, fold_loss)
        self._average.restore(self._best)
        stage.parts.load_state_dict(self._average.state)
        stage.parts.eval()
        course.hosts.follow(stage.parts.state_dict().values())

    @property
    def _stalled(self) -> bool:
        """Whether the fold has not got better for as many epochs as the recipe is patient."""
        patience = self._course.recipe.patience
        return bool(patience) and self._since >= patience

    def _train_epoch(self) -> float:
        course, hosts = self._course, self._course.hosts
        order = epoch_order(course.n_rows, self._seed, self.epoch)
        if course.on_epoch:
            course.on_epoch(self._stage.name, self.epoch, order)
        torch.manual_seed(seed_of(self._seed, self.epoch, hosts.rank, 1))
        self._stage.parts.train()
        total = torch.zeros((), device=hosts.device)
        batches = hosts.share(order, course.recipe.batch)
        for index in batches:
            total += self._step(index.to(hosts.device))
        hosts.follow(buffer for buffer in self._stage.parts.buffers())
        hosts.follow(self._average.state.values())
        return float(total) / len(batches)

    def _step(self, index: Tensor) -> Tensor:
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        device = self._course.hosts.device
        with torch.autocast(device.type, enabled=self._half):
            loss = self._stage.loss(index)
        self._optimizer.zero_grad()
        torch.autograd.backward(self._scaler.scale(loss))
        self._course.hosts.mean_gradients(parameters)
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(parameters, STEEPEST)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        self._average.add()
        return loss.detach().float()

    @torch.no_grad()
    def _judge(self) -> float:
        """The average's loss on the fold; the best state is kept. NaN without a fold."""
        fold, hosts = self._course.fold, self._course.hosts
        found = torch.tensor(math.nan)
        if len(fold):
            with self._average.in_place():
                batches = torch.split(torch.arange(len(fold)), FOLD_BATCH)
                losses = [
                    float(self._stage.fold_loss(fold.take(index.to(hosts.device)))) * len(index)
                    for index in batches
                ]
            found = torch.tensor(sum(losses) / len(fold))
        found = found.to(hosts.device)
        hosts.follow([found])
        better = not float(found) >= self._best_loss  # without a fold the newest is the best
        self._since = 0 if better else self._since + 1
        if better:
            self._best_loss = float(found) if len(fold) else math.inf
            self._best = {
                name: value.clone() if isinstance(value, Tensor) else value
                for name, value in self._average.dump().items()
            }
        return float(found)

    def _tell(self, loss: float, fold_loss: float) -> None:
        course, stage = self._course, self._stage
        if not course.hosts.leads:
            return
        done = self.epoch * self.n_steps
        step, total, left_s = course.meter.at(stage.name, done, self.n_steps)
        course.events.write(stage.name, self.epoch, {"loss": loss, "fold_loss": fold_loss})
        if course.report:
            course.report(Progress(stage.name, step, total, self.epoch, loss, fold_loss, left_s))

    @property
    def _path(self) -> Path | None:
        folder = self._course.folder
        return folder / f"{self._stage.name}.pt" if folder else None

    def _save(self) -> None:
        if self._path is None or not self._course.hosts.leads:
            return
        state: dict[str, Any] = {
            "key": self._key,
            "epoch": self.epoch,
            "parts": self._stage.parts.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": self._average.dump(),
            "best": self._best,
            "best_loss": self._best_loss,
            "since": self._since,
        }
        checkpoint.save(self._path, state)

    def _resume(self) -> None:
        state = checkpoint.load(self._path, self._key) if self._path else None
        if state is None:
            return
        self._stage.parts.load_state_dict(state["parts"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        self._average.restore(state["average"])
        self._best, self._best_loss = state["best"], state["best_loss"]
        self._since, self.epoch = state["since"], state["epoch"]
