"""Neighbourhoods, and how well an embedding keeps those of its inputs. All points are (N,D) float tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 2**24  # numbers gathered at once: with many duplicates there are many candidates


class Neighbors(NamedTuple):
    """The ``distances`` (M,k) and row numbers ``indices`` (M,k) of the k nearest points, nearest first."""

    distances: Tensor
    indices: Tensor


def knn(points: Tensor, k: int, queries: Tensor | None = None) -> Neighbors:
    """Find the k nearest of ``points`` (N,D) to each query (M,D), or to each point itself, which then does not count.

    >>> knn(torch.tensor([[0.0], [1.0], [3.0]]), 1).indices.tolist()
    [[1], [0], [1]]

    Raises:
        ValueError: if k is below 1, there are not enough points, or not all are finite.
    """
    available = len(points) - (queries is None)
    if not 1 <= k <= available:
        raise ValueError(f"k is {k}, but it must be from 1 to {available}, the number of points to choose from.")
    asked = points if queries is None else queries
    if not (points.isfinite().all() and asked.isfinite().all()):
        raise ValueError("points or queries are not all finite, so nothing is near them.")
    rough = _squared(asked, points)
    if queries is None:
        rough.fill_diagonal_(torch.inf)
    # The matrix product is fast, but loses the digits that tell close neighbours apart. So it only says who may be
    # among the nearest; those are then measured one by one, and a stable sort gives ties to the lower row number.
    farthest = rough.topk(k, largest=False).values[:, -1:]
    near = rough <= farthest + 1e-6 * farthest.abs() + 1e-9
    candidates = rough.topk(int(near.sum(1).max()), largest=False).indices.sort(dim=1).values
    chunk = max(1, CHUNK // max(1, candidates.shape[1] * points.shape[1]))
    parts = zip(asked.split(chunk), candidates.split(chunk), strict=True)
    distances = torch.cat([_distances(rows[:, None], points[columns])[:, 0] for rows, columns in parts])
    ordered = distances.sort(dim=1, stable=True)
    return Neighbors(ordered.values[:, :k], candidates.gather(1, ordered.indices)[:, :k])


def trustworthiness(inputs: Tensor, embedding: Tensor, k: int = 5) -> float:
    """Return how far the embedding's neighbours are neighbours of the inputs: 1 is all, 0 the worst there is.

    T = 1 - 2 / (N k (2N - 3k - 1)) * sum over i, and over j among the k nearest of i in the embedding, of
    max(0, r(i,j) - k), where r(i,j) is the rank of j by distance from i among the inputs: 1 plus how many are closer.

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
    squared = _squared(inputs, inputs).fill_diagonal_(torch.inf)
    excess = 0
    for column in knn(embedding, k).indices.unbind(1):
        closer = squared < squared.gather(1, column[:, None])
        excess += int((closer.sum(1) + 1 - k).clamp_min(0).sum())
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


def _squared(queries: Tensor, points: Tensor) -> Tensor:
    centre = points.double().mean(0)  # moving everything there keeps the numbers, and so the rounding, small
    rows, columns = queries.double() - centre, points.double() - centre
    return torch.addmm(rows.square().sum(1)[:, None] + columns.square().sum(1), rows, columns.T, alpha=-2)


def _distances(queries: Tensor, points: Tensor) -> Tensor:
    return torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist")


def _checked(inputs: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
    if len(inputs) != len(embedding):
        raise ValueError(f"inputs have {len(inputs)} rows, but embedding {len(embedding)}: each needs one per point.")
    return inputs.flatten(1), embedding.flatten(1)
