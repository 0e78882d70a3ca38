"""A stack of 3x3 convolutions, batch normalisation and ReLU: what int8 quantises best."""

from __future__ import annotations

import itertools

from torch import nn


def convolve(*channels: int) -> nn.Sequential:
    """3x3 convolutions. Those that change the number of channels halve both sides."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        stride = 1 if before == after else 2
        convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)
