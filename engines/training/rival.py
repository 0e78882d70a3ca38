"""The product of what each modality says alone, as a model of its own."""

from __future__ import annotations

import copy

from msgspec import structs

from engines.model import FusionModel
from engines.training.alone import Alone
from engines.training.start import begin_as_product


def rival_of(model: FusionModel, alone: Alone) -> FusionModel:
    """A model with copies of these encoders, and the product as its fusion."""
    plan = structs.replace(model.plan, fusion="product")
    rival = FusionModel(plan, model.specs, model.outputs)
    rival.encoders.load_state_dict(copy.deepcopy(model.encoders.state_dict()))
    begin_as_product(rival, alone)
    return rival.eval()
