"""What every picture encoder begins and ends with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import ImageSpec
from engines.error import EngineError


def unit(image: Tensor) -> Tensor:
    """uint8 (B, height, width, 3) as float32 (B, 3, height, width) in -1 .. 1."""
    return image.float().permute(0, 3, 1, 2) / 127.5 - 1.0


def contrasted(image: Tensor) -> Tensor:
    """uint8 (B, height, width, 3) as six planes: as it is, and without the light of the scene."""
    raw = unit(image)
    centred = raw - _level(raw)
    spread = _level(centred * centred)
    return torch.cat([raw, centred / (spread + 1e-3).sqrt()], 1)


def _level(planes: Tensor) -> Tensor:
    """The mean of each picture: (B, 1, 1, 1).

    ONNX Runtime adds number after number: over a whole picture of few colours that is wrong by
    1e-4, over one side it is not.
    """
    rows = planes.mean(3, keepdim=True)
    return rows.mean(2, keepdim=True).mean(1, keepdim=True)


def quarters(maps: Tensor) -> Tensor:
    """Maps (B, C, height, width), at least 2 by 2, as mean and peak of each quarter: (B, 4, 2 C).

    Where a side is odd, the quarters share its middle.
    """
    sides = maps.shape[2:]
    size, step = [n - n // 2 for n in sides], [n // 2 for n in sides]
    mean = nn.functional.avg_pool2d(maps, size, step)
    peak = nn.functional.max_pool2d(maps, size, step)
    return torch.cat([mean, peak], 1).flatten(2).transpose(1, 2)


def check_side(spec: ImageSpec, stride_px: int) -> None:
    """Raise EngineError for a picture too small to have quarters at this stride."""
    if min(spec.height_px, spec.width_px) <= stride_px:
        raise EngineError(
            f"pictures of {spec.width_px} x {spec.height_px} px: this encoder needs more than"
            f" {stride_px} on each side; raise height_px and width_px"
        )
