"""What the local structure of a batch is, and how far an embedding is from keeping it: four readings.

Each term takes ``images`` (N,C,H,W), their ``features`` (N,D), and ``anchors``: embeddings (N,D) whose row i must have
the neighbourhood of image i, which are the features themselves, those of the eps-ball points, or both. Each returns a
scalar, 0 or more, with a finite gradient also for duplicate images, black images and a batch of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

RIDGE = 1e-3  # share of the trace that makes the weights of a reconstruction unique (as in scikit-learn's LLE)

Term = Callable[[Tensor, Tensor, Sequence[Tensor], int, float], Tensor]


def vicinity(_images: Tensor, features: Tensor, anchors: Sequence[Tensor], _k: int, _temperature: float) -> Tensor:
    """Keep x and a point of its eps-ball together: the mean squared distance of their embeddings.

    Our reading; a relative of stability training (Zheng et al. 2016). It knows nothing of neighbours.
    """
    return torch.stack([(features - anchor).square().sum(1).mean() for anchor in anchors]).sum()


def distribution(images: Tensor, features: Tensor, anchors: Sequence[Tensor], k: int, temperature: float) -> Tensor:
    """Keep the neighbourhood distribution: the sum over the anchors of the mean of KL(p_i || q_i) over the batch.

    p(j|i) is the softmax of -|x_i - x_j|^2 / (2 s_i^2) over the other images, with s_i the distance to the k-th
    nearest; q(j|i) the softmax of -|a_i - z_j|^2 / temperature for the anchor a_i: with the eps-ball point as anchor, a
    point of the ball keeps the neighbourhood of its centre.

    Our reading; a relative of stochastic neighbour embedding (Hinton and Roweis 2002).
    """
    count = len(images)
    if count < 3:
        return features.sum() * 0  # with one possible neighbour every distribution is the same
    others = ~torch.eye(count, dtype=torch.bool, device=images.device)
    with torch.no_grad():
        squared = squared_distances(images.flatten(1), images.flatten(1))[others].view(count, count - 1)
        bandwidth = squared.kthvalue(min(k, count - 1), dim=1, keepdim=True).values.clamp_min(1e-6)
        log_p = functional.log_softmax(-squared / (2 * bandwidth), dim=1)
    divergence = torch.zeros((), dtype=features.dtype, device=features.device)
    for anchor in anchors:
        logits = -squared_distances(anchor, features)[others].view(count, count - 1) / temperature
        log_q = functional.log_softmax(logits, dim=1)
        divergence = divergence + functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    return divergence


def laplacian(images: Tensor, features: Tensor, anchors: Sequence[Tensor], k: int, _temperature: float) -> Tensor:
    """Keep near what is near: the sum over the anchors of the mean of sum_j w_ij |a_i - z_j|^2.

    j runs over the k nearest images, w_ij is the heat kernel exp(-|x_i - x_j|^2 / (2 s_i^2)) with s_i the distance to
    the k-th, and each row of w sums to 1.

    Our reading; a relative of Laplacian eigenmaps (Belkin and Niyogi 2003), whose bandwidth is one number.
    """
    if len(images) < 2:
        return features.sum() * 0
    with torch.no_grad():
        squared, near = nearest(images, k)
        weights = functional.softmax(-squared / (2 * squared[:, -1:].clamp_min(1e-6)), dim=1)
    spread = [(anchor[:, None] - features[near]).square().sum(2) for anchor in anchors]
    return torch.stack([(weights * distance).sum(1).mean() for distance in spread]).sum()


def reconstruction(images: Tensor, features: Tensor, anchors: Sequence[Tensor], k: int, _temperature: float) -> Tensor:
    """Keep the weights that rebuild x from its k nearest: the sum over the anchors of mean |a_i - sum_j w_ij z_j|^2.

    The weights of image i minimise |x_i - sum_j w_ij x_j|^2 with sum 1, and a ridge of 0.001 times the trace.

    Our reading; a relative of locally linear embedding (Roweis and Saul 2000).
    """
    if len(images) < 2:
        return features.sum() * 0
    with torch.no_grad():
        near = nearest(images, k)[1]
        weights = barycentre(images.flatten(1), near).to(features.dtype)
    rebuilt = (weights[..., None] * features[near]).sum(1)
    return torch.stack([(anchor - rebuilt).square().sum(1).mean() for anchor in anchors]).sum()


def barycentre(rows: Tensor, near: Tensor) -> Tensor:
    """Return the weights (N,k) that rebuild each of ``rows`` (N,D) from those that ``near`` (N,k) names."""
    offsets = (rows[near] - rows[:, None]).double()
    gram = offsets @ offsets.transpose(1, 2)
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    ridge = torch.where(trace > 0, RIDGE * trace, RIDGE)  # duplicates alone: any weights will do, so equal ones
    gram = gram + torch.diag_embed(ridge[:, None].expand(-1, near.shape[1]))
    weights: Tensor = torch.linalg.solve(gram, torch.ones_like(gram[..., 0]))
    return weights / weights.sum(1, keepdim=True)


def nearest(images: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return squared distances (N,k) to the k nearest other images, in order, and their rows; k is at most N - 1."""
    flat = images.flatten(1)
    squared = squared_distances(flat, flat).fill_diagonal_(torch.inf)
    found = squared.topk(min(k, len(images) - 1), dim=1, largest=False)
    return found.values, found.indices


def unit(features: Tensor) -> Tensor:
    """Return embeddings at unit length; the constant bounds the gradient where an embedding is zero."""
    return features * (features.square().sum(1, keepdim=True) + 1e-6).rsqrt()


def squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Return (N,M); unlike the distance its square has a gradient everywhere, also between duplicates."""
    squared = rows.square().sum(1)[:, None] + columns.square().sum(1)[None] - 2 * rows @ columns.T
    return squared.clamp_min(0)


TERMS: dict[str, Term] = {
    "vicinity": vicinity,
    "distribution": distribution,
    "laplacian": laplacian,
    "reconstruction": reconstruction,
}
