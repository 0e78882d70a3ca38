"""A small encoder of universal inverted bottlenecks with ReLU.

After "MobileNetV4: Universal Models for the Mobile Ecosystem" (Qin and others, 2024, section 3): a
block may have a depthwise convolution before its expansion, after it, both or neither. The sizes
are ours: about a fifth of MobileNetV4-Conv-S, at a stride of 16 px.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from engines.bundle import ImageSpec
from engines.encoder.picture import check_side, contrasted, quarters

STRIDE_PX = 16
OUT = 160


class Block(NamedTuple):
    """A bottleneck: channels out, kernels before and after the expansion (0: none), its factor."""

    channels: int
    before: int
    after: int
    stride: int = 1
    factor: int = 4


# Extra depthwise, ConvNeXt-like and feed-forward blocks, in the paper's terms.
BLOCKS = (
    Block(48, 5, 5, 2, 3),
    Block(64, 5, 5, 2),
    Block(64, 0, 3, factor=2),
    Block(64, 3, 0),
    Block(96, 3, 3, 2),
    Block(96, 0, 3),
    Block(96, 3, 0),
    Block(96, 0, 0),
)


class ImageMobilenet(nn.Module):
    """uint8 RGB (B, height, width, 3) to tokens (B, 4, D), one a quarter of the picture."""

    TOKENS = 4

    def __init__(self, spec: ImageSpec, width: int) -> None:
        super().__init__()
        check_side(spec, STRIDE_PX)
        self.stem = _layer(6, 32, 3, 2)
        bottlenecks, before = [], 32
        for block in BLOCKS:
            bottlenecks.append(Bottleneck(before, block))
            before = block.channels
        self.bottlenecks = nn.Sequential(*bottlenecks)
        self.head = _layer(before, OUT, 1)
        self.project = nn.Linear(2 * OUT, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        maps = self.head(self.bottlenecks(self.stem(contrasted(image))))
        return self.norm(self.project(quarters(maps)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """A universal inverted bottleneck; its input is added where the shapes allow it."""

    def __init__(self, channels: int, block: Block) -> None:
        super().__init__()
        wide = channels * block.factor
        self.adds = block.stride == 1 and channels == block.channels
        layers: list[nn.Module] = []
        if block.before:
            early = 1 if block.after else block.stride
            layers.append(_layer(channels, channels, block.before, early, relu=False))
        layers.append(_layer(channels, wide, 1))
        if block.after:
            layers.append(_layer(wide, wide, block.after, block.stride))
        layers.append(_layer(wide, block.channels, 1, relu=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        made: Tensor = self.layers(maps)
        return maps + made if self.adds else made


def _layer(
    before: int, after: int, kernel: int, stride: int = 1, *, relu: bool = True
) -> nn.Sequential:
    """A convolution, depthwise where the channels stay and the kernel is a real one."""
    groups = before if before == after and kernel > 1 else 1
    layers: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))
