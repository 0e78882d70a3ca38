"""A small causal conformer: the state of a moment depends on the sound up to it alone.

After "Conformer: Convolution-augmented Transformer for Speech Recognition" (Gulati and others,
2020, section 2), with padding on the past side only, attention to the recent past, and no position
encoding, since the convolutions know the order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.bundle import AudioSpec
from engines.encoder.attention import Attention
from engines.encoder.sound import Unit
from engines.error import EngineError
from engines.fusion.mask import masked

INNER = 96
LAYERS = 2
KERNEL = 7  # steps of the depthwise convolution, this one and the six before
REACH = 16  # steps that attention looks back, this one included
STEP_FRAMES = 4
QUARTERS = 4


class AudioConformer(nn.Module):
    """Features (B, 1, frames, bands) to tokens (B, 4, D), one a quarter of the time, oldest first.

    A step is four frames; the oldest steps are left out where they do not make four quarters.
    """

    TOKENS = QUARTERS
    mask: Tensor

    def __init__(self, spec: AudioSpec, width: int) -> None:
        super().__init__()
        steps, bands = -(-spec.frames // STEP_FRAMES), -(-spec.bands // STEP_FRAMES)
        if steps < QUARTERS:
            raise EngineError(f"sound of {spec.frames} frames: a conformer needs at least 13")
        self.per_quarter = steps // QUARTERS
        self.unit = Unit(spec)
        self.early, self.late = nn.Conv2d(2, 16, 3, 2), nn.Conv2d(16, 32, 3, 2)
        self.enter = nn.Linear(32 * bands, INNER)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.project = nn.Linear(INNER, width)
        self.norm = nn.LayerNorm(width)
        ago = torch.arange(steps)[:, None] - torch.arange(steps)
        self.register_buffer("mask", masked((ago >= 0) & (ago < REACH)), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        kept = self.states(audio)[:, -QUARTERS * self.per_quarter :]
        size = kept.shape[2]
        means = kept.reshape(-1, QUARTERS, self.per_quarter, size).mean(2)
        return self.norm(self.project(means))  # type: ignore[no-any-return]

    def states(self, audio: Tensor) -> Tensor:
        """One state a step, (B, steps, INNER). Each depends on the frames up to its last alone."""
        level = self.unit(audio)
        before = nn.functional.pad(level, (0, 0, 1, 0))[:, :, :-1]
        maps = torch.relu(self.early(_past(torch.cat([level, level - before], 1))))
        maps = torch.relu(self.late(_past(maps)))
        states: Tensor = self.enter(maps.permute(0, 2, 1, 3).flatten(2))
        for layer in self.layers:
            states = layer(states, self.mask)
        return states


def _past(maps: Tensor) -> Tensor:
    """Room for a 3x3 convolution of stride 2: one band on each side, and time before only.

    The frames of a step end with its last, so that the newest step knows the newest frame.
    """
    frames, bands = maps.shape[2:]
    return nn.functional.pad(maps, (1, bands % 2, 1 + frames % 2, 0))


class Layer(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward; all with what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = _think(), _think()
        self.norm_before, self.norm_after = nn.LayerNorm(INNER), nn.LayerNorm(INNER)
        self.attend = Attention(INNER)
        self.convolve = Convolution()

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        states = states + 0.5 * self.first(states)
        states = states + self.attend(self.norm_before(states), mask)
        states = states + self.convolve(states)
        return self.norm_after(states + 0.5 * self.last(states))  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """The convolution module: gate, depthwise over the past, ReLU. Steps stand in the height."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(INNER)
        self.gated = nn.Conv2d(INNER, 2 * INNER, 1)
        self.depthwise = nn.Conv2d(INNER, INNER, (KERNEL, 1), groups=INNER, bias=False)
        self.batch_norm = nn.BatchNorm2d(INNER)
        self.out = nn.Conv2d(INNER, INNER, 1)

    def forward(self, states: Tensor) -> Tensor:
        maps = self.norm(states).transpose(1, 2).unsqueeze(3)
        value, gate = self.gated(maps).chunk(2, 1)
        past = nn.functional.pad(value * torch.sigmoid(gate), (0, 0, KERNEL - 1, 0))
        made = self.out(torch.relu(self.batch_norm(self.depthwise(past))))
        return made.squeeze(3).transpose(1, 2)  # type: ignore[no-any-return]


def _think() -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(INNER), nn.Linear(INNER, 2 * INNER), nn.ReLU(), nn.Linear(2 * INNER, INNER)
    )
