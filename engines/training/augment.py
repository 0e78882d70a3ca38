"""Harmless changes of encoder inputs, so that the encoders learn what matters.

All take and give a batch of encoder inputs, and draw from torch's random numbers. `strength` 1
is for data of which there is little; 0 changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.bundle import AudioSpec, EncoderSpec, ImageSpec, TextSpec
from engines.plan import Train
from engines.training.image_augment import augmented_image
from engines.training.sound_augment import augmented_sound
from engines.training.text_augment import augmented_text


def augmented(spec: EncoderSpec, inputs: Tensor, recipe: Train) -> Tensor:
    """A changed copy of a batch of inputs of one modality."""
    if isinstance(spec, ImageSpec):
        return augmented_image(inputs, recipe.augment, mirror=recipe.mirror)
    if isinstance(spec, AudioSpec) and spec.computed == "host":
        return augmented_sound(inputs, recipe.augment)
    if isinstance(spec, TextSpec) and spec.tokenizer is None:
        return augmented_text(inputs, recipe.augment)
    return torch.clone(inputs)
