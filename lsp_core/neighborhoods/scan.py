"""Every product of some points with all points, tile by tile."""

from __future__ import annotations

import torch
from torch import Tensor

from lsp_core.neighborhoods.rough import Rough
from lsp_core.neighborhoods.shortlist import Shortlist

PANEL, TILE = 512, 2**22  # rows of a tile, and its numbers


def scan(left: Rough, right: Rough, itself: Tensor | None, short: Shortlist, *, once: bool) -> None:
    """Offer the products of rows (M,) with points to a shortlist.

    Args:
        left: the rows.
        right: the points.
        itself: (M,) which point each row is, and does not count; None: none is.
        short: gets the products.
        once: make each product once, for both of its points; ``left`` is ``right`` then.
    """
    once &= 8 * short.k <= PANEL  # else too few of a panel are seen at a time
    high = PANEL if once else 2 * PANEL
    room = right.factors.new_empty(min(TILE, min(high, len(left.half)) * len(right.half)))
    for start in range(0, len(left.half), high):
        rows = slice(start, min(start + high, len(left.half)))
        factors = left.left(rows)
        for first in range(start if once else 0, len(right.half), TILE // high):
            columns = slice(first, min(first + TILE // high, len(right.half)))
            tile = room[: len(factors) * (columns.stop - first)].view(len(factors), -1)
            torch.mm(factors, right.factors[columns].T, out=tile)
            if itself is not None:
                own = itself[rows] - first
                row = ((own >= 0) & (own < tile.shape[1])).nonzero()[:, 0]
                tile[row, own[row]] = -torch.inf
            short.offer(tile, rows, columns)
            after = max(rows.stop, first)
            if once and after < columns.stop:
                short.offer(tile[:, after - first :], slice(after, columns.stop), rows, turned=True)
