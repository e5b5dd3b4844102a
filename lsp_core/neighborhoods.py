"""Neighbourhoods, and how well an embedding keeps those of its inputs. All points are (N,D) float tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Neighbors(NamedTuple):
    """The ``distances`` (M,k) and row numbers ``indices`` (M,k) of the k nearest points, nearest first."""

    distances: Tensor
    indices: Tensor


def knn(points: Tensor, k: int, queries: Tensor | None = None) -> Neighbors:
    """Find the k nearest of ``points`` (N,D) to each query (M,D), or to each point itself, which then does not count.

    >>> knn(torch.tensor([[0.0], [1.0], [3.0]]), 1).indices.tolist()
    [[1], [0], [1]]

    Raises:
        ValueError: if k is below 1 or there are not enough points.
    """
    available = len(points) - (queries is None)
    if not 1 <= k <= available:
        raise ValueError(f"k is {k}, but it must be from 1 to {available}, the number of points to choose from.")
    distances = _distances(points if queries is None else queries, points)
    if queries is None:
        distances.fill_diagonal_(torch.inf)
    # A stable sort gives ties to the lower row number, on every device.
    ordered = distances.sort(dim=1, stable=True)
    return Neighbors(ordered.values[:, :k], ordered.indices[:, :k])


def trustworthiness(inputs: Tensor, embedding: Tensor, k: int = 5) -> float:
    """Return how far the embedding's neighbours are neighbours of the inputs: 1 is all, 0 the worst there is.

    T = 1 - 2 / (N k (2N - 3k - 1)) * sum over i, and over j among the k nearest of i in the embedding, of
    max(0, r(i,j) - k), where r(i,j) is the rank of j by distance from i among the inputs.

    Source: Venna and Kaski 2001; the same figure as scikit-learn's ``manifold.trustworthiness``.

    Args:
        inputs: (N,D) or any (N,…), which is flattened.
        embedding: (N,E).
        k: below N / 2.

    Raises:
        ValueError: if the lengths differ, or k is not from 1 to below N / 2.
    """
    inputs, embedding = _checked(inputs, embedding)
    count = len(inputs)
    if not 1 <= k < count / 2:
        raise ValueError(f"k is {k}, but it must be at least 1 and below half of the {count} points.")
    distances = _distances(inputs, inputs).fill_diagonal_(torch.inf)
    order = distances.argsort(dim=1, stable=True)
    ranks = torch.empty_like(order)
    positions = torch.arange(1, count + 1, device=order.device).expand_as(order)
    ranks.scatter_(1, order, positions)
    excess = (ranks.gather(1, knn(embedding, k).indices) - k).clamp_min(0).sum().item()
    return 1 - 2 * excess / (count * k * (2 * count - 3 * k - 1))


def continuity(inputs: Tensor, embedding: Tensor, k: int = 5) -> float:
    """Return how far the inputs' neighbours stay neighbours in the embedding: trustworthiness the other way round.

    Source: Venna and Kaski 2001. Arguments and errors as for ``trustworthiness``.
    """
    return trustworthiness(embedding, inputs, k)


def knn_overlap(inputs: Tensor, embedding: Tensor, k: int = 5) -> float:
    """Return the mean share of the k nearest that both spaces agree on, from 0 to 1.

    >>> line = torch.arange(6.0)[:, None]
    >>> knn_overlap(line, 2 * line, k=2)
    1.0

    Raises:
        ValueError: if the lengths differ, or k is not from 1 to N - 1.
    """
    inputs, embedding = _checked(inputs, embedding)
    ours, theirs = knn(inputs, k).indices, knn(embedding, k).indices
    return (ours[:, :, None] == theirs[:, None, :]).any(2).double().mean().item()


def _distances(queries: Tensor, points: Tensor) -> Tensor:
    # Not the matrix-product shortcut: it loses the digits that tell close neighbours apart.
    return torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist")


def _checked(inputs: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
    if len(inputs) != len(embedding):
        raise ValueError(f"inputs have {len(inputs)} rows, but embedding {len(embedding)}: each needs one per point.")
    return inputs.flatten(1), embedding.flatten(1)
