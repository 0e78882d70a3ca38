"""What to train: the keys of the table [model], for those who must not load torch.

`Model.specs` draws up what the encoders take; how many tokens each makes, its class knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from engines.bundle import Count, Encoders, EncoderSpec
from engines.encoder_plan import AudioPlan as AudioPlan
from engines.encoder_plan import EncoderPlan as EncoderPlan
from engines.encoder_plan import ImagePlan as ImagePlan
from engines.encoder_plan import ReadingsPlan as ReadingsPlan
from engines.encoder_plan import TextPlan as TextPlan
from engines.fusion.name import DEFAULT_FUSION, FusionName

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Modality: TypeAlias = Literal["image", "audio", "text", "readings"]
HEAD_NAME = "^[a-z][a-z0-9_]{0,31}$"
HeadName: TypeAlias = Annotated[str, Meta(pattern=HEAD_NAME)]
TAKEN = ("attention", "fusion", "probe", "tokenizer")  # other outputs and files of a bundle
HEADS_OF_ATTENTION = 4  # the width is divided among them


class Goal(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower
):
    """What all tables [model.head.NAME] have: `weight` is the share in the loss."""

    weight: Positive = 1.0


class Classify(Goal, frozen=True, kw_only=True):
    """One of the `classes`, which default to all labels of the set that the examples have."""

    labels: str = "truth"
    classes: tuple[str, ...] = ()


class Detect(Goal, frozen=True, kw_only=True):
    """Any number of the `classes` at once."""

    labels: str = "truth"
    classes: tuple[str, ...] = ()


class Match(Goal, frozen=True, kw_only=True):
    """Whether the modalities belong together."""


class Retrieve(Goal, frozen=True, kw_only=True):
    """A place for every window in a space of `size` dimensions, near those that mean the same."""

    size: Count = 32


class Caption(Goal, frozen=True, kw_only=True):
    """A text of at most `words` words, as the label set has them; `size` is that of the memory."""

    labels: str = "caption"
    words: Count = 12
    size: Count = 64


class Reconstruct(Goal, frozen=True, kw_only=True):
    """A small form of what a modality saw, heard or read."""

    of: Modality


class Regress(Goal, frozen=True, kw_only=True):
    """A number, as the label set has it in words."""

    labels: str
    unit: str = ""


HeadPlan: TypeAlias = Classify | Detect | Match | Retrieve | Caption | Reconstruct | Regress
HEADS: Mapping[str, type[Goal]] = {
    kind.__name__.lower(): kind
    for kind in (Classify, Detect, Match, Retrieve, Caption, Reconstruct, Regress)
}


class Train(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[model.train]: how long, how fast, and what the recipe does.

    `teachers` is how many models are trained first, whose mean answer the model learns with the
    share `distil` of its loss; 0 is none. `noise`, `drop` and `stale` are the shares of examples
    that have such a modality, `exchange` that of those made of the modalities of several examples
    of one label. `faults` is a label set that names the modality, or the kind of stream, that
    shows something else than the others: each modality then learns, too, whom to accuse. `augment`
    is how strongly inputs are changed, `mirror` whether pictures may be mirrored and their colours
    swapped. `alone` weighs what each modality says alone, `encoder_rate` is the encoders' share of
    the rate once they have learned alone, `average` how much of the running average of the weights
    a step keeps. The share `fold` of the examples decides when to stop, after `patience` epochs
    without gain (0: never), and how sure to be.
    """

    epochs: Count = 12
    unimodal_epochs: Annotated[int, Meta(ge=0)] = 0
    batch: Count = 64
    rate: Positive = 2e-3
    decay: Annotated[float, Meta(ge=0)] = 0.02
    seed: int = 0
    teachers: Annotated[int, Meta(ge=0)] = 0
    distil: Share = 0.7
    noise: Share = 0.35
    drop: Share = 0.4
    stale: Share = 0.08
    exchange: Share = 0.0
    faults: str = ""
    augment: Share = 1.0
    mirror: bool = False
    alone: Annotated[float, Meta(ge=0)] = 1.0
    encoder_rate: Share = 0.3
    average: Annotated[float, Meta(ge=0, lt=1)] = 0.99
    fold: Annotated[float, Meta(ge=0, le=0.5)] = 0.1
    patience: Annotated[int, Meta(ge=0)] = 0


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [model]. An encoder that is absent is a modality that is not used.

    The order of the heads is that of the outputs; the first that classifies is the main one.
    """

    fusion: FusionName = DEFAULT_FUSION
    width: Count = 64
    image: ImagePlan | None = None
    audio: AudioPlan | None = None
    text: TextPlan | None = None
    readings: ReadingsPlan | None = None
    head: dict[HeadName, HeadPlan] = {}
    train: Train = Train()

    def __post_init__(self) -> None:
        if not self.encoders:
            raise ValueError("no encoder: add a table such as [model.image]")
        if not self.head:
            raise ValueError("no head: add a table such as [model.head.situation]")
        if self.width % HEADS_OF_ATTENTION:
            raise ValueError(f"width {self.width} is no multiple of {HEADS_OF_ATTENTION}")
        for name, head in self.head.items():
            if name in TAKEN or name in Encoders.__struct_fields__:
                raise ValueError(f"head `{name}`: the name is taken; choose another")
            if isinstance(head, Reconstruct) and head.of not in self.encoders:
                raise ValueError(f"head `{name}`: it has no encoder of {head.of} to learn from")
            if isinstance(head, Match) and len(self.encoders) < 2:
                raise ValueError(f"head `{name}`: to match takes two modalities")

    @property
    def encoders(self) -> dict[str, EncoderPlan]:
        """{modality: plan}, in the order of modality ids and slots."""
        pairs = ((name, getattr(self, name)) for name in Encoders.__struct_fields__)
        return {name: plan for name, plan in pairs if plan is not None}

    @property
    def text_folder(self) -> Path | None:
        """Where the tokenizer of the text encoder lies, if it has one."""
        return Path(self.text.folder) if self.text and self.text.folder else None

    @property
    def label_sets(self) -> tuple[str, ...]:
        """The label sets that the heads learn from, each once."""
        sets = (getattr(head, "labels", None) for head in self.head.values())
        return tuple(dict.fromkeys(name for name in sets if name))

    def specs(self, tokens: Mapping[str, int] | None = None) -> Encoders:
        """What the encoders take. `tokens` {modality: tokens} is known to their classes only."""
        made: dict[str, EncoderSpec] = {
            name: plan.spec((tokens or {}).get(name, 1)) for name, plan in self.encoders.items()
        }
        return Encoders(**made)  # type: ignore[arg-type]
