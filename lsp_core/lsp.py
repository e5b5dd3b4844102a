"""Local Structure Preserving regularization: our reading of Wei, Zhou and Wu 2023 (arXiv 2303.16861).

Only the abstract is known to us, not the equation. The local structure at a sample is its neighbourhood: its nearest
samples and the points of the eps-ball around it. Each structure term says in its own way that the embedding keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lsp_core.types import pick

Vicinity = Literal["noise", "adversarial"]
VICINITIES = {"noise": "uniform noise in the eps-ball", "adversarial": "the objective's own adversarial example"}


@dataclass(frozen=True)
class LSP:
    """A structure term and how strongly it acts.

    Attributes:
        term: one of ``TERMS``.
        weight: factor of the term in the training loss (``__call__`` returns the term itself).
        vicinity: which point of the eps-ball stands for it: see ``VICINITIES``.
        eps: radius of the noise ball, in pixel units.
        k: the k-th nearest image sets the local bandwidth of ``distribution``.
        temperature: scale of squared embedding distances in ``distribution``.
        unit_length: measure embeddings at unit length, so that shrinking them gains nothing.
        warmup: share of the training over which the weight rises from 0.
    """

    term: str = "vicinity"
    weight: float = 30.0
    vicinity: Vicinity = "noise"
    eps: float = 0.3
    k: int = 8
    temperature: float = 0.1
    unit_length: bool = True
    warmup: float = 0.1

    def __post_init__(self) -> None:
        pick("structure term", self.term, TERMS)
        pick("vicinity", self.vicinity, VICINITIES)
        for name in ("weight", "eps", "warmup"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} of LSP is {getattr(self, name):g}, but it must be 0 or more.")
        if self.eps > 1 or self.warmup > 1:
            raise ValueError(f"eps and warmup of LSP are {self.eps:g} and {self.warmup:g}, but they must be 1 or less.")
        if self.k < 1 or self.temperature <= 0:
            raise ValueError(f"k is {self.k} and temperature {self.temperature:g}, but LSP needs both above 0.")

    def sample(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one point of the eps-ball of each image: uniform noise, clipped to [0,1]."""
        noise = torch.empty_like(images).uniform_(-self.eps, self.eps, generator=generator)
        return (images + noise).clamp(0, 1)

    def __call__(self, images: Tensor, features: Tensor, vic_images: Tensor, vic_features: Tensor) -> Tensor:
        """Return the unweighted term (a scalar) for a batch and its eps-ball points.

        Args:
            images: (N,C,H,W) in [0,1].
            features: (N,D) embedding of ``images``.
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
            features, vic_features = _unit(features), _unit(vic_features)
        return TERMS[self.term](self, images, features, vic_images, vic_features)


def vicinity(_lsp: LSP, _images: Tensor, features: Tensor, _vic_images: Tensor, vic_features: Tensor) -> Tensor:
    """Keep x and a point of its eps-ball together: the mean squared distance of their embeddings.

    Our reading; a relative of stability training (Zheng et al. 2016).
    """
    return (features - vic_features).square().sum(1).mean()


def distribution(lsp: LSP, images: Tensor, features: Tensor, _vic_images: Tensor, vic_features: Tensor) -> Tensor:
    """Keep the neighbourhood distribution: mean of KL(p_i || q_i) + KL(p_i || q'_i) over the batch.

    p(j|i) is the softmax of -|x_i - x_j|^2 / (2 s_i^2) over the other images, with s_i the distance to the k-th
    nearest; q(j|i) the softmax of -|z_i - z_j|^2 / temperature; q'(j|i) the same with the embedding of the eps-ball
    point of i in the place of z_i, so that a point of the ball keeps the neighbourhood of its centre.

    Our reading; a relative of stochastic neighbour embedding (Hinton and Roweis 2002).
    """
    count = len(images)
    if count < 3:
        return features.sum() * 0  # with one possible neighbour every distribution is the same
    others = ~torch.eye(count, dtype=torch.bool, device=images.device)
    with torch.no_grad():
        squared = _squared_distances(images.flatten(1), images.flatten(1))[others].view(count, count - 1)
        bandwidth = squared.kthvalue(min(lsp.k, count - 1), dim=1, keepdim=True).values.clamp_min(1e-6)
        log_p = functional.log_softmax(-squared / (2 * bandwidth), dim=1)
    divergence = torch.zeros((), dtype=features.dtype, device=features.device)
    for anchors in (features, vic_features):
        logits = -_squared_distances(anchors, features)[others].view(count, count - 1) / lsp.temperature
        log_q = functional.log_softmax(logits, dim=1)
        divergence = divergence + functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    return divergence


def _unit(features: Tensor) -> Tensor:
    # The constant bounds the gradient where an embedding is zero.
    return features * (features.square().sum(1, keepdim=True) + 1e-6).rsqrt()


def _squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    # The squared form has a gradient everywhere, also between duplicates, where the distance itself has none.
    squared = rows.square().sum(1)[:, None] + columns.square().sum(1)[None] - 2 * rows @ columns.T
    return squared.clamp_min(0)


TERMS: dict[str, Callable[[LSP, Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "vicinity": vicinity,
    "distribution": distribution,
}
