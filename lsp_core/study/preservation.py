"""How much of the neighbourhoods a model keeps, before and under attack."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lsp_core.lsp.terms.geometry import unit
from lsp_core.neighborhoods import continuity, knn, knn_overlap, trustworthiness
from lsp_core.store.provenance import Machine
from lsp_core.store.schema import Stored
from lsp_core.types import Classifier

K = 10
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Agreement(Stored):
    """How well the neighbourhoods of an embedding agree with those of the clean pixels; 1 is best in each."""

    trustworthiness: float
    continuity: float
    knn_overlap: float

    def __post_init__(self) -> None:
        for metric in fields(self):
            _check_fraction(metric.name, getattr(self, metric.name))


@dataclass(frozen=True)
class Preservation(Stored):
    """The neighbourhoods of a model's embeddings.

    Attributes:
        k: neighbours of each image.
        n: images.
        clean: the embedding of the images as they are; ``adversarial`` that of what becomes of them under attack.
        kept: the mean share of an image's k nearest clean images in the embedding that are still its k nearest when
            it, and nothing else, has been attacked.
        machine: where it was measured, if not where the model was trained.
    """

    k: int
    n: int
    clean: Agreement
    adversarial: Agreement
    kept: float
    machine: Machine | None = None

    def __post_init__(self) -> None:
        _check_fraction("kept", self.kept)
        for name in ("k", "n"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but it must be 1 or more.")


def preservation(
    model: Classifier, images: Tensor, adversarial: Tensor, k: int = K, *, unit_length: bool = False
) -> Preservation:
    """Compare the neighbourhoods of images (N,C,H,W) in pixels with those of their embeddings, clean and attacked.

    At ``unit_length`` only the directions of embeddings count, as they do in the structure terms.
    """
    with torch.no_grad():
        clean, moved = (
            torch.cat([model.features(batch) for batch in group.split(128)]).float() for group in (images, adversarial)
        )
    if unit_length:
        clean, moved = unit(clean), unit(moved)
    pixels = images.flatten(1)
    before, after = (
        Agreement(
            trustworthiness(pixels, embedding, k), continuity(pixels, embedding, k), knn_overlap(pixels, embedding, k)
        )
        for embedding in (clean, moved)
    )
    return Preservation(k, len(images), before, after, _kept(clean, moved, k))


def _kept(clean: Tensor, moved: Tensor, k: int) -> float:
    before = knn(clean, k).indices
    # An attacked image may lie nearest to its own clean self, which is not one of its neighbours.
    after = knn(clean, k + 1, queries=moved).indices
    itself = after == torch.arange(len(clean), device=clean.device)[:, None]
    itself[:, -1] |= ~itself.any(1)
    after = after[~itself].view(len(clean), k)
    return (before[:, :, None] == after[:, None, :]).any(2).double().mean().item()


def _check_fraction(name: str, value: float) -> None:
    if not -TOLERANCE <= value <= 1 + TOLERANCE:
        raise ValueError(f"{name} is {value:g}, but it must be from 0 to 1.")
