"""How much of the neighbourhoods a model keeps, before and under attack."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsp_core.lsp.terms.geometry import unit
from lsp_core.neighborhoods import continuity, in_common, knn, knn_others, shared_neighbors, trustworthiness
from lsp_core.store.provenance import Machine
from lsp_core.store.schema import Stored
from lsp_core.types import Classifier, pick

K = 10
TOLERANCE = 1e-6
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# What can be compared image by image, by what people call it.
FIGURES = {"overlap": "k-NN overlap", "overlap_attacked": "k-NN overlap, attacked", "kept": "kept"}


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
        images: for each of ``FIGURES`` how many of its k neighbours each image shares or keeps, a digit to the base of
            36 an image; none in files from before they were kept.
        machine: where it was measured, if not where the model was trained.
    """

    k: int
    n: int
    clean: Agreement
    adversarial: Agreement
    kept: float
    images: dict[str, str] = field(default_factory=dict)
    machine: Machine | None = None

    def __post_init__(self) -> None:
        _check_fraction("kept", self.kept)
        for name in ("k", "n"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but it must be 1 or more.")
        means = {"overlap": self.clean.knn_overlap, "overlap_attacked": self.adversarial.knn_overlap, "kept": self.kept}
        for name in self.images:
            mean, share = pick("figure of images", name, means), float(self.shares(name).mean())
            if abs(share - mean) > TOLERANCE:
                raise ValueError(f"{name} is {mean:g}, but that of the images is {share:g}.")

    def shares(self, figure: str) -> NDArray[np.float64]:
        """Return the share of its neighbours that each image (n,) has under a figure of ``images``.

        Raises:
            ValueError: if there are not n of them, or one is not from 0 to k.
        """
        counts = np.array([DIGITS.find(digit) for digit in self.images[figure]], dtype=np.float64)
        if len(counts) != self.n or not ((counts >= 0) & (counts <= self.k)).all():
            raise ValueError(f"images.{figure} must be {self.n} digits from 0 to {self.k}.")
        return counts / self.k


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
    pixels, shared = images.flatten(1), []
    agreements = []
    for embedding in (clean, moved):
        shared.append(shared_neighbors(pixels, embedding, k))
        figures = trustworthiness(pixels, embedding, k), continuity(pixels, embedding, k)
        agreements.append(Agreement(*figures, _share(shared[-1], k)))
    kept = _kept(clean, moved, k)
    counts = dict(zip(FIGURES, (*shared, kept), strict=True)) if k < len(DIGITS) else {}
    digits = {name: "".join(DIGITS[count] for count in found.tolist()) for name, found in counts.items()}
    return Preservation(k, len(images), agreements[0], agreements[1], _share(kept, k), digits)


def _kept(clean: Tensor, moved: Tensor, k: int) -> Tensor:
    """Return how many of its k nearest each image (N,) keeps."""
    # An attacked image may lie nearest to its own clean self, which is not one of its neighbours.
    after = knn_others(clean, k, moved, torch.arange(len(clean), device=clean.device))
    return in_common(knn(clean, k).indices, after.indices)


def _share(counts: Tensor, k: int) -> float:
    return counts.double().mean().item() / k


def _check_fraction(name: str, value: float) -> None:
    if not -TOLERANCE <= value <= 1 + TOLERANCE:
        raise ValueError(f"{name} is {value:g}, but it must be from 0 to 1.")
