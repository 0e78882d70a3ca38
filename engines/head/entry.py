"""The heads by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from engines.head.caption import CaptionHead
from engines.head.classify import ClassifyHead
from engines.head.detect import DetectHead
from engines.head.match import MatchHead
from engines.head.reconstruct import ReconstructHead
from engines.head.regress import RegressHead
from engines.head.retrieve import RetrieveHead
from engines.output import Output
from engines.plan import (
    Caption,
    Classify,
    Detect,
    HeadPlan,
    Match,
    Reconstruct,
    Regress,
    Retrieve,
)

KINDS: Mapping[type, Any] = {
    Classify: ClassifyHead,
    Detect: DetectHead,
    Match: MatchHead,
    Retrieve: RetrieveHead,
    Caption: CaptionHead,
    Reconstruct: ReconstructHead,
    Regress: RegressHead,
}


def make_head(plan: HeadPlan, output: Output, modalities: int) -> nn.Module:
    """A new head, as engines.head.head.Head says, for a model of so many modalities."""
    head: nn.Module = KINDS[type(plan)](plan, output, modalities)
    return head
