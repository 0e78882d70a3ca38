"""The small text encoders: grams of five bytes, then a recurrent net in both directions."""

from __future__ import annotations

from torch import Tensor, nn

from engines.bundle import TextSpec
from engines.encoder.letters import GRAM, Grams, known_letters, mean_and_peak

STATE = 48


class TextGru(nn.Module):
    """Bytes plus one, int32 (B, length), zero is padding, to tokens (B, 2, D): mean and maximum."""

    TOKENS = 2

    def __init__(self, spec: TextSpec, width: int) -> None:
        super().__init__()
        self.grams = Grams(spec.vocabulary)
        self.recur = self.recurrent()
        self.project = nn.Linear(2 * STATE, width)
        self.norm = nn.LayerNorm(width)

    def recurrent(self) -> nn.Module:
        """The net over the grams: (B, length, 96) to states (B, length, 96) in (-1, 1)."""
        return nn.GRU(GRAM, STATE, batch_first=True, bidirectional=True)

    def forward(self, text: Tensor) -> Tensor:
        known = known_letters(text)
        states, _ = self.recur(self.grams(text, known))
        return self.norm(self.project(mean_and_peak(states, known)))  # type: ignore[no-any-return]


class TextLstm(TextGru):
    """The same with long short-term memory."""

    def recurrent(self) -> nn.Module:
        return nn.LSTM(GRAM, STATE, batch_first=True, bidirectional=True)
