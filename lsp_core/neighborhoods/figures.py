"""How well an embedding keeps the neighbourhoods of its inputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lsp_core.neighborhoods.rough import Frame, Rough
from lsp_core.neighborhoods.search import knn

PANEL, TILE = 256, 2**21  # rows of a tile of products, and its numbers
WHOLE = 4096  # points, up to which there is room for all products, so that each is made once


def trustworthiness(inputs: Tensor, embedding: Tensor, k: int = 5) -> float:
    """Return how far the embedding's neighbours are neighbours of the inputs: 1 is all, 0 the worst there is.

    T = 1 - 2 / (N k (2N - 3k - 1)) * sum over i, and over j among the k nearest of i in the embedding, of
    max(0, r(i,j) - k), where r(i,j) is the rank of j by distance from i among the inputs: 1 plus how many are closer.
    Distances among the inputs are worked out in float64. Memory grows with N.

    Source: Venna and Kaski 2001; the same figure as scikit-learn's ``manifold.trustworthiness``.

    Args:
        inputs: (N,D) or any (N,…), which is flattened.
        embedding: (N,E).
        k: below N / 2.

    Raises:
        ValueError: if the lengths differ, k is not from 1 to below N / 2, or not all are finite.
    """
    inputs, embedding = _checked(inputs, embedding)
    count = len(inputs)
    if not 1 <= k < count / 2:
        raise ValueError(f"k is {k}, but it must be at least 1 and below half of the {count} points.")
    near = knn(embedding, k).indices
    points, excess = Rough.of(inputs, Frame.of(inputs, inputs), torch.float64), 0
    for rows, tile in _nearness(points):
        tile.scatter_(1, torch.arange(count, device=near.device)[rows, None], -torch.inf)
        nearness, closer = tile.gather(1, near[rows]), torch.empty_like(tile)
        for column in nearness.unbind(1):
            torch.gt(tile, column[:, None], out=closer)  # as numbers, which are summed faster than truths
            excess += int((closer.sum(1) + 1 - k).clamp_min_(0).sum())
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
        ValueError: if the lengths differ, k is not from 1 to N - 1, or not all are finite.
    """
    return shared_neighbors(inputs, embedding, k).double().mean().item() / k


def shared_neighbors(inputs: Tensor, embedding: Tensor, k: int = 5) -> Tensor:
    """Return for each point how many of its k nearest both spaces agree on: (N,), from 0 to k.

    Raises:
        ValueError: as ``knn_overlap``.
    """
    inputs, embedding = _checked(inputs, embedding)
    return in_common(knn(inputs, k).indices, knn(embedding, k).indices)


def in_common(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return how many entries each row of ``ours`` (N,k) shares with that of ``theirs`` (N,k): (N,)."""
    return (ours[:, :, None] == theirs[:, None, :]).any(2).sum(1)


def _nearness(points: Rough) -> Iterator[tuple[slice, Tensor]]:
    """Yield how near each of some rows is to every point (R,N), the nearer the larger."""
    count = points.count
    high = max(1, min(PANEL, TILE // count))
    panels = [slice(start, min(start + high, count)) for start in range(0, count, high)]
    if count > WHOLE:
        for rows in panels:
            yield rows, points.left(rows) @ points.factors[:count].T
        return
    whole = points.factors.new_empty(count, count)
    for rows in panels:
        torch.mm(points.left(rows), points.factors[rows.start : count].T, out=whole[rows, rows.start :])
        whole[rows.stop :, rows] = whole[rows, rows.stop :].T
    for rows in panels:
        yield rows, whole[rows]


def _checked(inputs: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
    if len(inputs) != len(embedding):
        raise ValueError(f"inputs have {len(inputs)} rows, but embedding {len(embedding)}: each needs one per point.")
    return inputs.flatten(1), embedding.flatten(1)
