"""Where a model that was brought from outside comes from: the part of its card that others do not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lsp_core.store.schema import Stored


@dataclass(frozen=True)
class Tried(Stored):
    """A preparation of the images, and how many of n labelled ones were then right."""

    name: str
    right: int
    n: int


@dataclass(frozen=True)
class Finding(Stored):
    """Whether a model passed a check, and what was seen."""

    name: str
    passed: bool
    evidence: str


@dataclass(frozen=True)
class Origin(Stored):
    """A file from outside, and what was found out of it.

    Attributes:
        file: its name; ``sha256`` of its bytes, and of its companion's after them.
        producer: what wrote it, by its own account.
        preparation: the name of what it wants done to images; mean and std stand in the card.
        order: of the channels that it wants; ``layout`` of the axes.
        batch: how several images go through it: as they are, by torch.vmap, or one by one.
        embedding: where in it the last linear layer is; "" means that its logits are taken for the embedding.
        softmax: whether it gave probabilities, by a softmax that was cut off.
        gradient: whether it has one with respect to the pixels; without it only attacks that need none make sense.
        tried: the preparations, and ``checks`` with the one that was chosen, on images of ``n`` and the data set there.
    """

    file: str
    sha256: str
    producer: str = ""
    preparation: str = "unit"
    order: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    batch: Literal["whole", "mapped", "single"] = "whole"
    embedding: str = ""
    softmax: bool = False
    gradient: bool = True
    tried: tuple[Tried, ...] = ()
    checks: tuple[Finding, ...] = ()
