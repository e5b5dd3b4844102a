"""Local Structure Preserving regularization: our reading of Wei, Zhou and Wu 2023 (arXiv 2303.16861).

Only the abstract is known to us, not the equation. The local structure at a sample is its neighbourhood: its nearest
samples and the points of the eps-ball around it. Each structure term says in its own way that the embedding keeps it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lsp_core.lsp.terms import TERMS
from lsp_core.lsp.terms.geometry import unit
from lsp_core.types import check_fields, pick

Vicinity = Literal["noise", "adversarial"]
Part = Literal["both", "ball", "neighbors"]
Layer = Literal["features", "logits"]
PARTS = {"both": "images and points", "ball": "points of the eps-ball alone", "neighbors": "images alone"}
VICINITIES = {"noise": "uniform noise in the eps-ball", "adversarial": "the objective's own adversarial example"}


@dataclass(frozen=True)
class LSP:
    """A structure term and how strongly it acts.

    Attributes:
        term: one of ``TERMS``.
        weight: factor of the term in the training loss (``__call__`` returns the term itself).
        vicinity: which point of the eps-ball stands for it: see ``VICINITIES``.
        eps: radius of the noise ball, in pixel units.
        share: share of each batch that the term looks at. The rest needs no second pass, which is what the term costs.
        layer: which embedding the term acts on: the features that feed the last linear layer, or the logits it returns.
        k: how many nearest images count; the k-th sets the local bandwidth.
        temperature: scale of squared embedding distances in ``distribution``.
        part: whose neighbourhood is kept: see ``PARTS``. ``vicinity`` knows the ball alone.
        unit_length: measure embeddings at unit length, so that shrinking them gains nothing.
        warmup: share of the training over which the weight rises from 0.
    """

    term: str = "vicinity"
    weight: float = 30.0
    vicinity: Vicinity = "noise"
    eps: float = 0.3
    share: float = 1.0
    layer: Layer = "features"
    k: int = 8
    temperature: float = 0.1
    part: Part = "both"
    unit_length: bool = True
    warmup: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, "LSP")
        pick("structure term", self.term, TERMS)
        if self.term == "vicinity" and self.part == "neighbors":
            raise ValueError("part is neighbors, but the term vicinity knows only the ball: choose another term.")
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight of LSP is {self.weight:g}, but it must be finite and 0 or more.")
        for name in ("eps", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} of LSP is {getattr(self, name):g}, but it must be from 0 to 1.")
        if not 0 < self.share <= 1:
            raise ValueError(f"share of LSP is {self.share:g}, but it must be above 0 and at most 1.")
        if self.k < 1:
            raise ValueError(f"k of LSP is {self.k}, but it must be 1 or more.")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature of LSP is {self.temperature:g}, but it must be finite and above 0.")

    def count(self, batch_size: int) -> int:
        """Return how many images of a batch the term looks at: their share, and one at the least."""
        return max(1, round(self.share * batch_size))

    def sample(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one point of the eps-ball of each image: uniform noise, clipped to [0,1]."""
        return uniform_noise(images, self.eps, generator)

    def __call__(self, images: Tensor, features: Tensor, vic_images: Tensor, vic_features: Tensor) -> Tensor:
        """Return the unweighted term (a scalar) for a batch and its eps-ball points.

        Args:
            images: (N,C,H,W) in [0,1].
            features: (N,D) embedding of ``images``: the features or logits that ``layer`` names.
            vic_images: (N,C,H,W), row i in the eps-ball of image i.
            vic_features: (N,D) embedding of ``vic_images``.
        """
        shapes = (images.shape, features.shape)
        if (vic_images.shape, vic_features.shape) != shapes or len(images) != len(features) or features.dim() != 2:
            raise ValueError(
                f"images and features have shapes {tuple(images.shape)} and {tuple(features.shape)}, but those of the "
                f"eps-ball points {tuple(vic_images.shape)} and {tuple(vic_features.shape)}: all must match row by row."
            )
        if self.unit_length:
            features, vic_features = unit(features), unit(vic_features)
        anchors = {"ball": [vic_features], "neighbors": [features], "both": [features, vic_features]}[self.part]
        if self.term == "vicinity":
            anchors = [vic_features]  # this term compares each image with its point alone
        return TERMS[self.term](images, features, anchors, self.k, self.temperature)


def uniform_noise(images: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """Add uniform noise of up to ``radius`` (pixel units) to images in [0,1]; what leaves that range is clipped."""
    noise = torch.empty_like(images).uniform_(-radius, radius, generator=generator)
    return (images + noise).clamp(0, 1)
