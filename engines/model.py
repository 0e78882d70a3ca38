"""The torch models: one encoder a modality, and the fusion of their tokens.

Written for TensorRT 10.3: Conv2d only, attention by hand, finite masks, no data-dependent shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.bundle import Encoders, EncoderSpec, ReadingsSpec
from engines.fusion.entry import Sizes
from engines.fusion.fusion import Fusion
from engines.fusion.name import DEFAULT_FUSION, FusionName

WIDTH = 64


def _convolve(*channels: int) -> nn.Sequential:
    """3x3 convolutions. Those that change the number of channels halve both sides."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        stride = 1 if before == after else 2
        convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


class ImageEncoder(nn.Module):
    """uint8 RGB (B, height, width, 3) to tokens (B, 4, D), one a quarter of the picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolve = _convolve(6, 24, 40, 64, 64, 96, 96)
        self.project = nn.Linear(2 * 96, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        raw = image.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        centred = raw - raw.mean((1, 2, 3), keepdim=True)
        spread = (centred * centred).mean((1, 2, 3), keepdim=True)
        maps = self.convolve(torch.cat([raw, centred / (spread + 1e-3).sqrt()], 1))
        size = (maps.shape[2] // 2, maps.shape[3] // 2)
        mean, peak = nn.functional.avg_pool2d(maps, size), nn.functional.max_pool2d(maps, size)
        tokens = torch.cat([mean, peak], 1).flatten(2).transpose(1, 2)
        return self.norm(self.project(tokens))  # type: ignore[no-any-return]


class AudioEncoder(nn.Module):
    """Log-mel (B, 1, frames, mels) to tokens (B, 4, D), one a quarter of the mel bands."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolve = _convolve(2, 16, 32, 64, 96)
        self.project = nn.Linear(2 * 96, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, audio: Tensor) -> Tensor:
        # The second channel has no steady background and no microphone's colour in it.
        changes = audio - audio.mean(2, keepdim=True)
        maps = self.convolve(torch.cat([(audio + 6.0) / 4.0, changes / 2.0], 1))
        tokens = torch.cat([maps.mean(2), maps.amax(2)], 1).transpose(1, 2)
        return self.norm(self.project(tokens))  # type: ignore[no-any-return]


class TextEncoder(nn.Module):
    """Bytes plus one, int32 (B, length), zero is padding, to tokens (B, 2, D): mean and maximum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(257, 32)
        self.grams = nn.Conv2d(32, 96, (1, 5), padding=(0, 2))
        self.gru = nn.GRU(96, 48, batch_first=True, bidirectional=True)
        self.project = nn.Linear(96, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, text: Tensor) -> Tensor:
        known = (text > 0).float().unsqueeze(2)
        letters = self.embed(text) * known
        grams = self.grams(letters.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        states, _ = self.gru(torch.relu(grams) * known)
        mean = (states * known).sum(1) / known.sum(1).clamp(min=1.0)
        peak = (states * known + known - 1.0).amax(1)  # a state lies in (-1, 1); padding is -1
        tokens = torch.stack([mean, peak], 1)
        return self.norm(self.project(tokens))  # type: ignore[no-any-return]


class ReadingsEncoder(nn.Module):
    """Readings float32 (B, window, n) to a token (B, 1, D): how they change, not where they are."""

    def __init__(self, width: int, spec: ReadingsSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(spec.window * len(spec.names), width), nn.ReLU(), nn.Linear(width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, readings: Tensor) -> Tensor:
        changes = (readings - readings.mean(1, keepdim=True)).flatten(1)
        return self.norm(self.layers(changes)).unsqueeze(1)  # type: ignore[no-any-return]


class HomeModel(nn.Module):
    """All encoders, the fusion, and the heads that judge one modality alone while training."""

    def __init__(
        self, specs: Encoders, labels: Sequence[str], fusion: FusionName = DEFAULT_FUSION
    ) -> None:
        super().__init__()
        self.specs, self.labels, self.width = specs, tuple(labels), WIDTH
        assert specs.readings is not None
        self.encoders = nn.ModuleDict(
            {
                "image": ImageEncoder(WIDTH),
                "audio": AudioEncoder(WIDTH),
                "text": TextEncoder(WIDTH),
                "readings": ReadingsEncoder(WIDTH, specs.readings),
            }
        )
        self.fusion = Fusion(fusion, Sizes(WIDTH, len(self.encoders), len(labels)))
        self.alone = nn.ModuleDict({name: nn.Linear(WIDTH, len(labels)) for name in self.encoders})

    def spec(self, modality: str) -> EncoderSpec:
        spec: EncoderSpec = getattr(self.specs, modality)
        return spec
