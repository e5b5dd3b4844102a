"""Local Structure Preserving regularization: our reading of Wei, Zhou and Wu 2023 (arXiv 2303.16861).

Only the abstract is known to us, not the equation. The local structure at a sample is its neighbourhood: its nearest
samples and the points of the eps-ball around it. So the regularizer has two parts, one for each.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lsp_core.lsp.terms import NEIGHBOR_TERMS, SCALE_FREE, TERMS
from lsp_core.lsp.terms.geometry import unit
from lsp_core.types import Record, check_fields, pick

NONE = "none"  # stands where a part is left out
Vicinity = Literal["noise", "adversarial"]
Layer = Literal["features", "logits"]
VICINITIES = {"noise": "uniform noise in the eps-ball", "adversarial": "the objective's own adversarial example"}


@dataclass(frozen=True)
class LSP:
    """The two parts of the regularizer, and how strongly they act: ``ball + neighbors_weight * neighbors``.

    Attributes:
        ball: one of ``TERMS``, or "none": how an image and a point of its eps-ball are held together.
        neighbors: one of ``NEIGHBOR_TERMS``, or "none": how an image's relations to its nearest images are kept.
        weight: factor of the whole in the training loss (``__call__`` returns it without).
        neighbors_weight: what the neighbours' part counts beside the ball's.
        vicinity: which point of the eps-ball stands for it: see ``VICINITIES``.
        eps: radius of the noise ball, in pixel units.
        share: share of each batch that the ball's part looks at; what it costs is the second pass of these images.
        layer: which embedding both act on: the features that feed the last linear layer, or the logits it returns.
        k: how many nearest images count; the k-th sets the local bandwidth.
        temperature: scale of squared embedding distances in ``distribution``.
        unit_length: measure embeddings at unit length, so that shrinking them gains nothing. Terms that are free of
            scale see them as they are: what they keep is then kept at the embedding's own length, too.
        warmup: share of the training over which the weight rises from 0.
    """

    ball: str = "vicinity"
    neighbors: str = "correlation"
    weight: float = 30.0
    neighbors_weight: float = 0.01
    vicinity: Vicinity = "noise"
    eps: float = 0.3
    share: float = 0.25
    layer: Layer = "features"
    k: int = 16
    temperature: float = 0.1
    unit_length: bool = True
    warmup: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, "LSP")
        pick("ball term", self.ball, {**TERMS, NONE: None})
        pick("neighbors term", self.neighbors, {**NEIGHBOR_TERMS, NONE: None})
        if self.ball == self.neighbors == NONE:
            raise ValueError("ball and neighbors of LSP are both none: choose a term for one of them at least.")
        for name in ("weight", "neighbors_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} of LSP is {getattr(self, name):g}, but it must be finite and 0 or more.")
        for name in ("eps", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} of LSP is {getattr(self, name):g}, but it must be from 0 to 1.")
        if not 0 < self.share <= 1:
            raise ValueError(f"share of LSP is {self.share:g}, but it must be above 0 and at most 1.")
        if self.k < 1:
            raise ValueError(f"k of LSP is {self.k}, but it must be 1 or more.")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature of LSP is {self.temperature:g}, but it must be finite and above 0.")

    @classmethod
    def from_record(cls, record: Record) -> LSP:
        """Return what a card or a preset says, perhaps one from before there were two parts.

        Such a one had a ``term``, and a ``part``: the ball, the neighbours, or both alike.

        Raises:
            ValueError: if it has an unknown setting, or a value that cannot be meant.
        """
        record = dict(record)
        if "term" in record:
            term, part = record.pop("term"), record.pop("part", "both")
            both = part == "both" and term != "vicinity"
            record |= {"ball": NONE if part == "neighbors" else term, "neighbors_weight": 1.0 if both else 0.0}
            record |= (
                {"neighbors": term, "neighbors_weight": 1.0} if both or part == "neighbors" else {"neighbors": NONE}
            )
            record = {"share": 1.0, "k": 8, **record}
        for key in record:
            pick("setting of LSP", key, {own.name: own for own in dataclasses.fields(cls)})
        return cls(**record)

    @property
    def essential(self) -> LSP:
        """This, with what a part that is left out would use as it is by default: two that train alike are equal.

        >>> LSP(neighbors=NONE, k=4).essential == LSP(neighbors=NONE, neighbors_weight=0.5).essential
        True
        """
        unused: set[str] = set()
        if self.ball == NONE:
            unused |= {"vicinity", "eps", "share"}
        if self.neighbors == NONE:
            unused |= {"neighbors_weight"}
            if self.ball in (NONE, "vicinity"):  # which knows no neighbours
                unused |= {"k", "temperature"}
        usual: Record = {own.name: own.default for own in dataclasses.fields(self) if own.name in unused}
        return dataclasses.replace(self, **usual)

    def count(self, batch_size: int) -> int:
        """Return how many images of a batch the ball's part looks at: their share, and one at the least."""
        return max(1, round(self.share * batch_size))

    def sample(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one point of the eps-ball of each image: uniform noise, clipped to [0,1]."""
        return uniform_noise(images, self.eps, generator)

    def __call__(self, images: Tensor, features: Tensor, vic_images: Tensor, vic_features: Tensor) -> Tensor:
        """Return the unweighted sum of both parts (a scalar) for a batch and the eps-ball points of its first images.

        Args:
            images: (N,C,H,W) in [0,1].
            features: (N,D) embedding of ``images``: the features or logits that ``layer`` names.
            vic_images: (M,C,H,W), M at most N; row i in the eps-ball of image i.
            vic_features: (M,D) embedding of ``vic_images``.
        """
        _check_rows(images, features, vic_images, vic_features)
        few = len(vic_features)
        neighbors = self.neighbors_part(images, features)
        return self.ball_part(images[:few], features[:few], vic_features) + self.neighbors_weight * neighbors

    def ball_part(self, images: Tensor, features: Tensor, vic_features: Tensor) -> Tensor:
        """Return how far points of the eps-balls (M,D) are from images (M,C,H,W) and their embedding (M,D)."""
        return self._term(self.ball, images, features, vic_features)

    def neighbors_part(self, images: Tensor, features: Tensor) -> Tensor:
        """Return how far an embedding (N,D) is from the neighbourhoods of images (N,C,H,W).

        It may be that of adversarial examples: then these are held to the neighbourhoods of the images.
        """
        return self._term(self.neighbors, images, features, features)

    def _term(self, name: str, images: Tensor, features: Tensor, anchors: Tensor) -> Tensor:
        if name == NONE:
            return features.sum() * 0
        if self.unit_length and name not in SCALE_FREE:
            features, anchors = unit(features), unit(anchors)
        return TERMS[name](images, features, anchors, self.k, self.temperature)


def uniform_noise(images: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """Add uniform noise of up to ``radius`` (pixel units) to images in [0,1]; what leaves that range is clipped."""
    noise = torch.empty_like(images).uniform_(-radius, radius, generator=generator)
    return (images + noise).clamp(0, 1)


def _check_rows(images: Tensor, features: Tensor, vic_images: Tensor, vic_features: Tensor) -> None:
    rows = len(images) == len(features) and len(vic_images) == len(vic_features) <= len(images)
    alike = vic_images.shape[1:] == images.shape[1:] and vic_features.shape[1:] == features.shape[1:]
    if not (rows and alike and features.dim() == 2):
        raise ValueError(
            f"images and features have shapes {tuple(images.shape)} and {tuple(features.shape)}, but those of the "
            f"eps-ball points {tuple(vic_images.shape)} and {tuple(vic_features.shape)}: all must match row by row, "
            "and there may be fewer points than images."
        )
