"""ResNet-50, with the parameter names under which its trained weights are handed around.

After "Deep Residual Learning for Image Recognition" (He and others, 2015, table 1); as in common
use, the stride of a block stands at its 3x3 convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import ImageSpec
from engines.encoder.picture import check_side, quarters

STRIDE_PX = 32
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in 0 .. 1
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels, blocks, stride
WIDENING = 4


class ImageResnet50(nn.Module):
    """uint8 RGB (B, height, width, 3) to tokens (B, 4, D), one a quarter of the picture."""

    TOKENS = 4
    mean: Tensor
    spread: Tensor
    BODY, IGNORED = "body", ("fc.",)  # weights from a file are the body's; its classifier is not

    def __init__(self, spec: ImageSpec, width: int) -> None:
        super().__init__()
        check_side(spec, STRIDE_PX)
        self.body = Body()
        self.project = nn.Linear(2 * STAGES[-1][0] * WIDENING, width)
        self.norm = nn.LayerNorm(width)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        planes = (image.float().permute(0, 3, 1, 2) / 255.0 - self.mean) / self.spread
        return self.norm(self.project(quarters(self.body(planes))))  # type: ignore[no-any-return]


class Body(nn.Module):
    """Planes (B, 3, height, width) to maps (B, 2048, height / 32, width / 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = 64
        for number, (channels, n_blocks, stride) in enumerate(STAGES, 1):
            blocks = []
            for at in range(n_blocks):
                blocks.append(Block(before, channels, stride if at == 0 else 1))
                before = channels * WIDENING
            setattr(self, f"layer{number}", nn.Sequential(*blocks))

    def forward(self, planes: Tensor) -> Tensor:
        maps: Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(planes))))
        for number in range(1, len(STAGES) + 1):
            maps = getattr(self, f"layer{number}")(maps)
        return maps


class Block(nn.Module):
    """1x1, 3x3, 1x1 convolutions, and what came in added."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        after = channels * WIDENING
        self.conv1 = nn.Conv2d(before, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, maps: Tensor) -> Tensor:
        made = torch.relu(self.bn1(self.conv1(maps)))
        made = torch.relu(self.bn2(self.conv2(made)))
        return torch.relu(self.bn3(self.conv3(made)) + self.downsample(maps))
