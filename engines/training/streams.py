"""The slots of a fusion in training: up to as many streams a modality as its spec allows, some of
them stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engines.training.rows import Rows, Tensors

P_MORE_STREAMS = 0.25
LONGEST_AGE_S = 10.0
JITTER_S = 0.05


class Slots(NamedTuple):
    """The inputs of a fusion: tokens (B, N, D), modality int64 (B, N), age in s and present."""

    tokens: Tensor
    modality: Tensor
    age_s: Tensor
    present: Tensor

    def keep(self, kept: Tensor) -> Slots:
        """Without the modalities where `kept` (B, M) is False."""
        return self._replace(present=self.present * kept.float().gather(1, self.modality))


def plain_slots(rows: Rows, tokens: Tensors) -> Slots:
    """One stream a modality, as it is."""
    return _joined(
        [
            _spread(tokens[name], number, rows.ages_s[name][:, None], rows.present[name][:, None])
            for number, name in enumerate(tokens)
        ]
    )


class Streams(NamedTuple):
    """Whose tokens each stream of a modality has, int64 (n, streams), how old, and if present."""

    source: Tensor
    age_s: Tensor
    there: Tensor


def draw_streams(rows: Rows, max_streams: Sequence[int], stale: float) -> dict[str, Streams]:
    """Further streams show what other examples of the same kind do; a share of all is stale.

    A stale stream shows, the older the likelier, whatever was before.
    """
    drawn = {}
    for name, streams in zip(rows.inputs, max_streams, strict=True):
        source, stale_s = _sources(rows.kin, streams, stale)
        n, device = len(source), source.device
        more = torch.rand(n, device=device) < (P_MORE_STREAMS if streams > 1 else 0.0)
        count = torch.where(more, torch.randint(1, streams + 1, (n,), device=device), 1)
        numbers = torch.arange(streams, device=device)
        there = (numbers < count[:, None]) & rows.present[name][source]
        jitter_s = JITTER_S * torch.rand(n, streams, device=device)
        drawn[name] = Streams(source, rows.ages_s[name][source] + stale_s + jitter_s, there)
    return drawn


def drawn_slots(drawn: Mapping[str, Streams], tokens: Tensors) -> Slots:
    """The slots of streams that were drawn."""
    return _joined(
        [
            _spread(tokens[name][of.source].flatten(1, 2), number, of.age_s, of.there)
            for number, (name, of) in enumerate(drawn.items())
        ]
    )


def _spread(tokens: Tensor, number: int, age_s: Tensor, there: Tensor) -> Slots:
    """Each stream's age (n, streams) and presence for each of its tokens."""
    n, n_tokens = tokens.shape[:2]
    each = n_tokens // age_s.shape[1]
    kinds = torch.full((n, n_tokens), number, device=tokens.device)
    ages_s, present = (x.repeat_interleave(each, 1) for x in (age_s, there.float()))
    return Slots(tokens, kinds, ages_s, present)


def _joined(parts: list[Slots]) -> Slots:
    return Slots(*(torch.cat(column, 1) for column in zip(*parts, strict=True)))


def _sources(kin: Tensor, streams: int, share: float) -> tuple[Tensor, Tensor]:
    """Whose tokens stand in each stream (n, streams), and how stale they are in seconds."""
    n, device = len(kin), kin.device
    alike = (kin[:, None] == kin).float()
    source = torch.multinomial(alike, streams, replacement=True)
    source[:, 0] = torch.arange(n, device=device)
    stale = torch.rand(n, streams, device=device) < share
    seconds = torch.rand(n, streams, device=device) * LONGEST_AGE_S
    stale_s = torch.where(stale, seconds, torch.zeros_like(seconds))
    past = torch.rand(n, streams, device=device) < stale_s / (0.6 * LONGEST_AGE_S)
    anyone = torch.randint(n, (n, streams), device=device)
    return torch.where(past, anyone, source), stale_s
