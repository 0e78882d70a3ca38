"""The features of engines.logmel as a torch module, for graphs that take sound itself.

The Fourier transform is a Conv2d with fixed kernels (window times cosine and sine), since TensorRT
10.3 parses neither STFT nor DFT, and does not build a Conv1d that is followed by an addition.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engines.bundle import AudioSpec
from engines.logmel import FLOOR, cosines, hann, mel_bands


class Spectrum(nn.Module):
    """Sound float32 (B, 1, 1, n), full scale is 1, to features (B, 1, frames, bands).

    `n` must be frame_samples + (frames - 1) * hop_samples to give the spec's `frames`.
    """

    kernels: Tensor
    bands: Tensor
    cosines: Tensor

    def __init__(self, spec: AudioSpec) -> None:
        super().__init__()
        self.hop, size = spec.hop_samples, spec.frame_samples
        turns = np.outer(np.arange(size // 2 + 1), np.arange(size)) % size * (2.0 * np.pi / size)
        kernels = np.concatenate([np.cos(turns), np.sin(turns)]) * hann(size)
        self._fix("kernels", kernels[:, None, None, :])
        self._fix("bands", mel_bands(spec.mels, size, spec.rate_hz))
        self.mfcc = spec.features == "mfcc"
        if self.mfcc:
            self._fix("cosines", cosines(spec.mels, spec.coefficients))

    def forward(self, sound: Tensor) -> Tensor:
        waves = nn.functional.conv2d(sound, self.kernels, stride=(1, self.hop))
        cosine, sine = (waves * waves).squeeze(2).transpose(1, 2).chunk(2, 2)
        logmel = torch.log((cosine + sine) @ self.bands + FLOOR)
        features = logmel @ self.cosines if self.mfcc else logmel
        return features.unsqueeze(1)

    def _fix(self, name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> None:
        self.register_buffer(name, torch.from_numpy(np.array(values, np.float32)), persistent=False)
