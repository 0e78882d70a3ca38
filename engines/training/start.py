"""Where a fusion begins when its encoders have learned alone."""

from __future__ import annotations

import torch
from torch import nn

from engines.fusion.modality import EachLinear
from engines.fusion.product import Product
from engines.fusion.reliability import Reliability
from engines.model import FusionModel
from engines.training.alone import Alone

SMALL = 0.1


@torch.no_grad()
def begin_as_product(model: FusionModel, alone: Alone) -> None:
    """Fusions that let each modality vote begin with the votes that were learned alone."""
    method = model.fusion.method
    if not isinstance(method, Product | Reliability):
        return
    judge: EachLinear = method.judge
    if isinstance(method, Reliability):
        _correct_nothing(method)
    for number, layer in enumerate(alone.layers.values()):
        assert isinstance(layer, nn.Linear)
        judge.weight[number] = layer.weight.T
        judge.bias[number] = layer.bias
    # What the entry adds to a token is learned from here on; votes know nothing of it yet.
    model.fusion.entry.kind.weight.zero_()
    model.fusion.entry.age.weight.zero_()
    model.fusion.entry.age.bias.zero_()


def _correct_nothing(method: Reliability) -> None:
    """What attention adds begins near nothing."""
    correction = method.head[-1]
    assert isinstance(correction, nn.Linear)
    correction.weight.mul_(SMALL)
    correction.bias.zero_()
