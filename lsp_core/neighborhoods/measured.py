"""Distances that are measured, pair by pair, and sorted; ties go to the lower row number."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MEASURED = 2**18  # numbers at once, which fit into a core's cache
SORTED = 2**22  # distances at once


class Neighbors(NamedTuple):
    """The ``distances`` (M,k) and row numbers ``indices`` (M,k) of the k nearest points, nearest first."""

    distances: Tensor
    indices: Tensor

    @classmethod
    def unknown(cls, points: Tensor, count: int, k: int) -> Neighbors:
        """Return room for the neighbours of ``count`` rows among points."""
        return cls(points.new_empty(count, k), torch.empty(count, k, dtype=torch.int64, device=points.device))


def measure(points: Tensor, asked: Tensor, columns: Tensor, counts: Tensor, found: Neighbors) -> None:
    """Set the nearest of each row's candidates; a row that has none stays as it is.

    Args:
        points: (N,D).
        asked: (M,D).
        columns: (P,) candidates of row 0, those of row 1, …, each in ascending order.
        counts: (M,) how many each row has: none, or k and more.
        found: of the M rows.
    """
    k, dimensions = found.indices.shape[1], points.shape[1]
    starts, (sizes, order) = counts.cumsum(0) - counts, counts.sort(descending=True)
    widths = sizes[sizes > 0].tolist()
    room = points.new_empty(max(MEASURED, max(widths, default=0) * dimensions))
    place, done = torch.arange(max(widths, default=0), device=points.device), 0
    while done < len(widths):
        width = widths[done]  # the largest that is left
        rows = order[done : min(len(widths), done + max(1, MEASURED // (width * dimensions)))]
        done += len(rows)
        table = columns[(starts[rows, None] + place[:width]).clamp_max_(len(columns) - 1)]
        near = room[: table.numel() * dimensions].view(-1, dimensions)
        torch.index_select(points, 0, table.view(-1), out=near)
        distances = _distances(asked[rows][:, None], near.view(len(rows), width, dimensions))[:, 0]
        distances.masked_fill_(place[:width] >= counts[rows, None], torch.inf)
        near_first = distances.sort(dim=1, stable=True)
        indices = table.gather(1, near_first.indices[:, :k])
        found.distances[rows], found.indices[rows] = near_first.values[:, :k], indices


def measure_all(points: Tensor, asked: Tensor, rows: Tensor, found: Neighbors, *, itself: bool) -> None:
    """Set the neighbours of some rows (n,) of what is asked from all distances; ``itself``: asked are the points."""
    k = found.indices.shape[1]
    for some in rows.split(max(1, SORTED // len(points))):
        distances = _distances(asked[some], points)
        # One that does not count comes last even if distances overflow.
        order = distances.scatter_(1, some[:, None], torch.inf) if itself else distances
        near_first = order.sort(dim=1, stable=True)
        found.distances[some], found.indices[some] = near_first.values[:, :k], near_first.indices[:, :k]


def _distances(queries: Tensor, points: Tensor) -> Tensor:
    return torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist")
