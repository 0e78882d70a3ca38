"""The small encoder of readings: two layers over the whole window."""

from __future__ import annotations

from torch import Tensor, nn

from engines.bundle import ReadingsSpec


class ReadingsMlp(nn.Module):
    """Readings float32 (B, window, n) to a token (B, 1, D): how they change, not where they are."""

    TOKENS = 1

    def __init__(self, spec: ReadingsSpec, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(spec.window * len(spec.names), width), nn.ReLU(), nn.Linear(width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, readings: Tensor) -> Tensor:
        changes = (readings - readings.mean(1, keepdim=True)).flatten(1)
        return self.norm(self.layers(changes)).unsqueeze(1)  # type: ignore[no-any-return]
