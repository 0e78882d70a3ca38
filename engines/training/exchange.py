"""New examples made of old ones: what one modality showed goes with what another did.

If modalities are independent given the label, an example keeps its label when the input of one of
them comes from another example of that label. A modality that lies shows another label, and goes
on lying: its input then comes from an example of any other label.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engines.training.rows import HONEST, Rows


class Exchange:
    """Draws rows of which modalities are exchanged.

    Only those that are caught lying somewhere are, for the others may speak of the lie; where
    none ever lies, all but the last are.
    """

    def __init__(self, rows: Rows, share: float) -> None:
        self._rows, self._share = rows, share
        liars = torch.unique(rows.lies[rows.lies != HONEST]).tolist()
        names = list(rows.inputs)
        self._moved = [names[n] for n in liars] if liars else names[:-1]
        self._kinds = torch.unique(rows.kin[rows.kin >= 0])
        self._honest = {name: self._pools(names.index(name), name) for name in self._moved}

    def take(self, index: Tensor) -> Rows:
        """The rows of an index, some with inputs of others."""
        rows, taken = self._rows, self._rows.take(index)
        if not self._share or len(self._kinds) < 2:
            return taken
        inputs, ages_s, present = dict(taken.inputs), dict(taken.ages_s), dict(taken.present)
        chosen = torch.rand(len(index), device=index.device) < self._share
        for name in self._moved:
            number = list(rows.inputs).index(name)
            source = self._source(name, taken, taken.lies == number)
            source = torch.where(chosen & (source >= 0), source, index)
            inputs[name] = rows.inputs[name][source]
            ages_s[name], present[name] = rows.ages_s[name][source], rows.present[name][source]
        return replace(taken, inputs=inputs, ages_s=ages_s, present=present)

    def _pools(self, number: int, name: str) -> list[Tensor]:
        """The rows of each kind that have the modality, and in which it does not lie."""
        rows = self._rows
        fit = rows.present[name] & (rows.lies != number)
        return [torch.nonzero(fit & (rows.kin == kind)).flatten() for kind in self._kinds]

    def _source(self, name: str, taken: Rows, lying: Tensor) -> Tensor:
        """A row for each one that shows what it should; -1 where there is none."""
        n, n_kinds = len(taken), len(self._kinds)
        own = torch.searchsorted(self._kinds, taken.kin.clamp(min=0)).clamp(max=n_kinds - 1)
        other = (own + torch.randint(1, n_kinds, (n,), device=own.device)) % n_kinds
        shown = torch.where(lying, other, own)
        source = torch.full((n,), -1, device=own.device)
        for number, pool in enumerate(self._honest[name]):
            if len(pool):
                drawn = pool[torch.randint(len(pool), (n,), device=own.device)]
                source = torch.where(shown == number, drawn, source)
        return torch.where(taken.kin >= 0, source, -1)
