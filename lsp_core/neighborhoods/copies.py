"""Points that are equal."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 2**20  # numbers compared at once


def without_spare_copies(points: Tensor, enough: int) -> Tensor | None:
    """Return the rows (n,) of points (N,D), in order, without those that are equal to ``enough`` lower rows.

    Returns:
        None if no row is so.
    """
    # Equal rows give equal sums, nearly always; rows whose sums are equal are compared.
    weights = torch.rand(points.shape[1], generator=torch.Generator().manual_seed(0), dtype=points.dtype)
    sums, order = points.mv(weights.to(points.device)).sort(stable=True)
    if not (sums[enough:] == sums[:-enough]).any():
        return None
    place = torch.arange(len(sums), device=sums.device)
    first = torch.ones_like(sums, dtype=torch.bool)
    first[1:] = sums[1:] != sums[:-1]
    start = torch.where(first, place, 0).cummax(0).values
    _, group, size = torch.unique_consecutive(start, return_inverse=True, return_counts=True)
    members = (size[group] > enough).nonzero()[:, 0]
    rows, leaders = order[members], order[start[members]]
    parts = zip(rows.split(_rows(points)), leaders.split(_rows(points)), strict=True)
    equal = torch.cat([(points[some] == points[lead]).all(1) for some, lead in parts])
    rows, group = rows[equal], group[members][equal]
    opened = torch.ones_like(group, dtype=torch.bool)
    opened[1:] = group[1:] != group[:-1]
    place = torch.arange(len(group), device=group.device)
    copies = place - torch.where(opened, place, 0).cummax(0).values
    spare = rows[copies >= enough]
    if len(spare) == 0:
        return None
    keep = torch.ones_like(first)
    keep[spare] = False
    return keep.nonzero()[:, 0]


def _rows(points: Tensor) -> int:
    return max(1, CHUNK // max(1, points.shape[1]))
