"""Training of the encoders and the fusion, together, from examples of whatever origin.

The recipe: joint training with a loss on every modality alone, fusion under the full and two random
sets of modalities, noise in place of one modality, tokens of other streams and of other times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from engines.augment import augmented
from engines.bundle import Encoders
from engines.error import EngineError
from engines.example import Example
from engines.fusion.name import DEFAULT_FUSION, FusionName
from engines.model import HomeModel
from engines.noise import noise_input

NOISE_POOL = 256
P_NOISE = 0.35  # share of examples of which one modality is noise
P_DROP = 0.4
P_STALE = 0.08
P_MORE_STREAMS = 0.25
LONGEST_AGE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to train, how long and how fast."""

    epochs: int = 12
    batch: int = 64
    rate: float = 2e-3
    seed: int = 0
    fusion: FusionName = DEFAULT_FUSION


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs (n, ...), ages and presence (n,) by modality, and labels (n,)."""

    inputs: dict[str, Tensor]
    ages: dict[str, Tensor]
    present: dict[str, Tensor]
    labels: Tensor

    def take(self, index: Tensor) -> Batch:
        inputs, ages, present = (
            {name: values[index] for name, values in table.items()}
            for table in (self.inputs, self.ages, self.present)
        )
        return Batch(inputs, ages, present, self.labels[index])


def train(
    examples: Iterable[Example],
    labels: Sequence[str],
    specs: Encoders,
    recipe: Recipe,
    report: Callable[[str], None] = print,
) -> HomeModel:
    """Train a new model on examples; the same examples and seed give the same model."""
    torch.manual_seed(recipe.seed)
    model = HomeModel(specs, labels, recipe.fusion)
    data = stack(list(examples), model)
    noise = _noise_pool(model, recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.02)
    n_steps = math.ceil(len(data.labels) / recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=n_steps * recipe.epochs
    )
    model.train()
    for epoch in range(recipe.epochs):
        total = 0.0
        for index in torch.split(torch.randperm(len(data.labels)), recipe.batch):
            loss = _loss(model, data.take(index), noise)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(index)
        report(f"epoch {epoch + 1} of {recipe.epochs}: loss {total / len(data.labels):.4f}")
    return model.eval()


def stack(examples: Sequence[Example], model: HomeModel) -> Batch:
    """Examples as tensors; a missing input becomes zeros that are not present."""
    inputs, ages, present = {}, {}, {}
    for name in model.encoders:
        shape = noise_input(model.spec(name), np.random.default_rng(0))
        rows = [e.inputs.get(name, np.zeros_like(shape)) for e in examples]
        inputs[name] = torch.from_numpy(np.concatenate(rows))
        ages[name] = torch.tensor([e.ages_s.get(name, 0.0) for e in examples])
        present[name] = torch.tensor([name in e.inputs for e in examples])
    labels = torch.tensor([_number(e.label, model) for e in examples])
    return Batch(inputs, ages, present, labels)


def _number(label: str, model: HomeModel) -> int:
    if label not in model.labels:
        raise EngineError(f"example labelled {label!r}: the labels are {', '.join(model.labels)}")
    return model.labels.index(label)


def _noise_pool(model: HomeModel, seed: int) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    draw = {k: [noise_input(model.spec(k), rng) for _ in range(NOISE_POOL)] for k in model.encoders}
    return {name: torch.from_numpy(np.concatenate(rows)) for name, rows in draw.items()}


def _loss(model: HomeModel, batch: Batch, noise: dict[str, Tensor]) -> Tensor:
    n = len(batch.labels)
    broken = torch.where(torch.rand(n) < P_NOISE, torch.randint(len(noise), (n,)), -1)
    tokens, alone = {}, torch.zeros(())
    for number, (name, encoder) in enumerate(model.encoders.items()):
        inputs = augmented(name, batch.inputs[name])
        here = broken == number
        inputs[here] = noise[name][torch.randint(NOISE_POOL, (int(here.sum()),))]
        tokens[name] = encoder(inputs)
        sound = (batch.present[name] & ~here).float()
        logits = model.alone[name](tokens[name].mean(1))
        losses = nn.functional.cross_entropy(logits, batch.labels, reduction="none")
        alone = alone + (losses * sound).sum() / sound.sum().clamp(min=1.0)
    slots = _slots(batch, tokens)
    fused = _fused_loss(model, batch.labels, slots, torch.zeros(n, len(noise)))
    for _ in range(2):
        fused = fused + 0.5 * _fused_loss(model, batch.labels, slots, torch.rand(n, len(noise)))
    return fused + 0.5 * alone


def _fused_loss(
    model: HomeModel, labels: Tensor, slots: tuple[Tensor, Tensor, Tensor, Tensor], fate: Tensor
) -> Tensor:
    """Cross entropy of the fusion without the modalities whose fate (B, modalities) is high."""
    tokens, modality, age, present = slots
    kept = (fate < 1.0 - P_DROP).float().gather(1, modality)
    logits, _ = model.fusion.logits(tokens, modality, age, present * kept)
    return nn.functional.cross_entropy(logits, labels)


def _slots(batch: Batch, tokens: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fusion inputs: up to four streams a modality, some of them stale."""
    parts = [
        _modality_slots(batch, name, number, tokens[name]) for number, name in enumerate(tokens)
    ]
    joined = [torch.cat(column, 1) for column in zip(*parts, strict=True)]
    return joined[0], joined[1], joined[2], joined[3]


def _modality_slots(
    batch: Batch, name: str, number: int, tokens: Tensor, streams: int = 4
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, n_tokens, width = tokens.shape
    source, stale_s = _sources(batch.labels, streams)
    count = torch.where(torch.rand(n) < P_MORE_STREAMS, torch.randint(2, streams + 1, (n,)), 1)
    there = (torch.arange(streams) < count[:, None]) & batch.present[name][source]
    age = batch.ages[name][source] + stale_s + 0.05 * torch.rand(n, streams)
    spread = [x.repeat_interleave(n_tokens, 1) for x in (age, there.float())]
    kinds = torch.full((n, streams * n_tokens), number)
    return tokens[source].reshape(n, streams * n_tokens, width), kinds, spread[0], spread[1]


def _sources(labels: Tensor, streams: int) -> tuple[Tensor, Tensor]:
    """Whose tokens stand in each stream (n, streams), and how stale they are in seconds.

    The first stream is the example's own, the others show the same situation. A stale one shows,
    the older the likelier, whatever was before.
    """
    n = len(labels)
    alike = (labels[:, None] == labels).float()
    source = torch.multinomial(alike, streams, replacement=True)
    source[:, 0] = torch.arange(n)
    stale = torch.rand(n, streams) < P_STALE
    stale_s = torch.where(stale, torch.rand(n, streams) * LONGEST_AGE_S, 0.0)
    past = stale & (torch.rand(n, streams) < stale_s / (0.6 * LONGEST_AGE_S))
    return torch.where(past, torch.randint(n, (n, streams)), source), stale_s
