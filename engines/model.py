"""The torch model: an encoder a modality, the fusion of their tokens, and the heads.

Written for TensorRT 10.3: Conv2d only, attention by hand, finite masks, no data-dependent shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engines.bundle import Encoders, EncoderSpec
from engines.draft import draft_outputs
from engines.encoder.entry import make_encoder, tokens_of
from engines.example import Example
from engines.fusion.entry import Sizes
from engines.fusion.fusion import Fusion
from engines.head.entry import make_head
from engines.output import ClassifyOutput, Output, main_head
from engines.plan import EncoderPlan, ImagePlan, Model, TextPlan


class FusionModel(nn.Module):
    """What a plan describes, with random weights.

    `encoders[modality](input)` makes tokens, `fusion.logits(tokens, modality, age, present)` the
    outputs (B, n), of which `slices[head]` belongs to `heads[head]`. A trainer fits the parameters
    and, at the end, the `temperature` of those heads that have one.
    """

    def __init__(self, plan: Model, specs: Encoders, outputs: Mapping[str, Output]) -> None:
        super().__init__()
        self.plan, self.specs, self.outputs = plan, specs, dict(outputs)
        self.width, n = plan.width, len(plan.encoders)
        self.encoders = nn.ModuleDict(
            {
                name: make_encoder(name, own.encoder, self.spec(name), plan.width, _source(own))
                for name, own in plan.encoders.items()
            }
        )
        self.slices, start = dict[str, slice](), 0
        for name, output in self.outputs.items():
            self.slices[name] = slice(start, start + output.width)
            start += output.width
        main = main_head(self.outputs)
        classes = self.slices[main] if isinstance(outputs[main], ClassifyOutput) else None
        self.fusion = Fusion(plan.fusion, Sizes(plan.width, n, start, classes))
        self.heads = nn.ModuleDict(
            {name: make_head(plan.head[name], output, n) for name, output in self.outputs.items()}
        )

    def spec(self, modality: str) -> EncoderSpec:
        """What an encoder takes and makes."""
        spec: EncoderSpec = getattr(self.specs, modality)
        return spec

    def targets(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """{head: what its slice should become}, for `loss`."""
        heads: Mapping[str, Any] = dict(self.heads.items())
        return {name: head.target(examples) for name, head in heads.items()}

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the heads' losses, each the mean over the rows it knows.

        `outputs` (B, n) are those of `fusion.logits`. Heads that are not in `targets` take no part.
        """
        total = outputs.new_zeros(())
        for name, target in targets.items():
            head: Any = self.heads[name]
            losses = head.loss(outputs[:, self.slices[name]], target)
            n_known = head.known(target).sum().clamp(min=1)
            total = total + self.plan.head[name].weight * losses.sum() / n_known
        return total

    def answer(self) -> Answer:
        """The fusion and the heads as the one graph that a bundle holds."""
        return Answer(self)


class Answer(nn.Module):
    """Fusion inputs to each head's answer, in their order, and the weight of each slot (B, N)."""

    numbers: Tensor

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        self.fusion, self.heads, self.slices = model.fusion, model.heads, model.slices
        numbers = torch.arange(len(model.encoders), dtype=torch.int32)
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(
        self, tokens: Tensor, modality: Tensor, age: Tensor, present: Tensor
    ) -> tuple[Tensor, ...]:
        outputs, weight = self.fusion.logits(tokens, modality, age, present)
        present_set = self.present_set(modality, present)
        answers = []
        heads: Mapping[str, Any] = dict(self.heads.items())
        for name, head in heads.items():
            part = outputs[:, self.slices[name]]
            if hasattr(head, "temperature"):
                part = part / head.temperature[present_set].unsqueeze(1)
            answers.append(head.answer(part))
        return (*answers, weight)

    def present_set(self, modality: Tensor, present: Tensor) -> Tensor:
        """The number of each row's set of present modalities: int64 (B,)."""
        own = modality.unsqueeze(1) == self.numbers[:, None]
        there = (own & (present > 0.5).unsqueeze(1)).float().amax(2)
        return (there * 2.0 ** self.numbers.float()).sum(1).long()


def _source(plan: EncoderPlan) -> str:
    """The file or folder of an encoder's weights, if it has one."""
    if isinstance(plan, ImagePlan):
        return plan.weights
    return plan.folder if isinstance(plan, TextPlan) else ""


def draft_specs(plan: Model) -> Encoders:
    """What the encoders of a plan take, and how many tokens each makes."""
    return plan.specs({name: tokens_of(name, e.encoder) for name, e in plan.encoders.items()})


def make_model(plan: Model, examples: Sequence[Example]) -> FusionModel:
    """A new model for these examples. Raises EngineError where they say too little for a head."""
    return FusionModel(plan, draft_specs(plan), draft_outputs(plan, examples))
