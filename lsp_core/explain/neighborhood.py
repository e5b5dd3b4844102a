"""Who is near images: in pixels, and in a model's embedding before and after an attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lsp_core.neighborhoods import Neighbors, in_common, knn_others
from lsp_core.types import Classifier


@dataclass(frozen=True)
class Reference:
    """Those that can be near: M images as flat ``pixels`` (M,P) and as unit-length ``embedding`` (M,D) of a model."""

    pixels: Tensor
    embedding: Tensor


@dataclass(frozen=True)
class Neighborhood:
    """The k nearest reference images of each of N images, (N,k), nearest first.

    Attributes:
        pixels: of the clean image, by its pixels.
        before: of the clean image, in the embedding; ``after`` of what the attack made of it.
        moved: (N,) how far apart both are in the embedding.
    """

    pixels: Neighbors
    before: Neighbors
    after: Neighbors
    moved: Tensor

    @property
    def k(self) -> int:
        """Neighbours of each image."""
        return self.before.indices.shape[1]

    @property
    def overlap(self) -> Tensor:
        """How many of those near before are near in pixels, too: (N,), from 0 to k."""
        return in_common(self.pixels.indices, self.before.indices)

    @property
    def overlap_attacked(self) -> Tensor:
        """How many of those near after are near the clean image in pixels: (N,), from 0 to k."""
        return in_common(self.pixels.indices, self.after.indices)

    @property
    def kept(self) -> Tensor:
        """How many of those near before are near after: (N,), from 0 to k."""
        return in_common(self.before.indices, self.after.indices)

    @classmethod
    def of(cls, parts: Sequence[Neighborhood]) -> Neighborhood:
        """Return the neighbourhoods of several groups of images as one, group after group."""
        pixels, before, after = (
            Neighbors(*map(torch.cat, zip(*group, strict=True)))
            for group in zip(*((part.pixels, part.before, part.after) for part in parts), strict=True)
        )
        return cls(pixels, before, after, torch.cat([part.moved for part in parts]))

    def cpu(self) -> Neighborhood:
        """Return it with its tensors in the processor's memory, for those who draw it."""
        pixels, before, after = (
            Neighbors(near.distances.cpu(), near.indices.cpu()) for near in (self.pixels, self.before, self.after)
        )
        return Neighborhood(pixels, before, after, self.moved.cpu())


def embed(model: Classifier, images: Tensor, batch_size: int = 250) -> Tensor:
    """Return embeddings (N,D) at unit length, so that two models' distances can be compared."""
    with torch.no_grad():
        return torch.cat([functional.normalize(model.features(batch), dim=1) for batch in images.split(batch_size)])


def compare_neighborhoods(
    model: Classifier, clean: Tensor, attacked: Tensor, reference: Reference, k: int, own: Tensor
) -> Neighborhood:
    """Find the k nearest reference images of images (N,C,H,W) by pixels, and by embedding before and after an attack.

    Args:
        model: whose embedding it is.
        clean: the images.
        attacked: what an attack made of each.
        reference: where the model lies.
        k: how many.
        own: (N,) the reference row of each image, which is no neighbour of itself; -1 if it is not among them.

    Raises:
        ValueError: if k is not from 1 to M - 1, or not all are finite.
    """
    before, after = embed(model, torch.cat([clean, attacked])).split(len(clean))
    return Neighborhood(
        knn_others(reference.pixels, k, clean.flatten(1), own),
        knn_others(reference.embedding, k, before, own),
        knn_others(reference.embedding, k, after, own),
        (after - before).norm(dim=1),
    )
