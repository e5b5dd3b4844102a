"""Who may be among the k nearest, by products that come in tiles: the larger the nearer."""

from __future__ import annotations

import torch
from torch import Tensor

from lsp_core.neighborhoods.rough import Bar

WIDEST = 32  # members of a block
STALE = 8  # times as many pairs may wait for a row's last bar as may be left then
WAITING = 2**22  # pairs that may wait in all


class Shortlist:
    """The pairs of a row and a column that the row's bar does not rule out.

    A tile is looked into block by block: a block only if its largest member passes the bar. The bar follows from the
    row's k largest block maxima so far: each is the product of some column, so the k-th largest product is no lower.

    Attributes:
        best: (M,k) those maxima, in order.
        lost: (M,) bool, rows that kept too many pairs, so that all of them were dropped.
    """

    def __init__(self, count: int, k: int, most: int, bar: Bar):
        filled = len(bar.half)
        self.k, self.most, self.bar, self.count = k, most, bar, count
        self.best = bar.half.new_full((filled, k), -torch.inf)
        self.lost = torch.arange(filled, device=self.best.device) >= count
        self._seen = torch.zeros_like(self.lost, dtype=torch.int64)
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self._waiting, self._room = 0, max(WAITING, count * most * 3 // 2)

    def offer(self, tile: Tensor, rows: slice, columns: slice, *, turned: bool = False) -> None:
        """Look at products (R,C) of some rows and columns or, ``turned``, (C,R)."""
        members = _members(columns.stop - columns.start, self.k)
        peaks, left = tile, members
        while left > 1:  # block b of B has the columns b, b + B, …
            peaks, left = torch.maximum(*peaks.chunk(2, 0 if turned else 1)), left // 2
        blocks = (columns.stop - columns.start) // members
        if turned:
            cube, peaks = tile.view(members, blocks, -1).permute(2, 0, 1), peaks.T
        else:
            cube = tile.view(-1, members, blocks)
        peaks = peaks.to(self.best.dtype)
        best = torch.cat([self.best[rows], peaks], 1).topk(self.k).values
        self.best[rows] = best
        bar = self.bar(best[:, -1:], rows).masked_fill_(self.lost[rows, None], torch.inf)
        row, block = (peaks >= bar).nonzero().unbind(1)
        values = cube[row, :, block]
        hit, member = (values >= bar[row]).nonzero().unbind(1)
        row = row[hit]
        self._note(row + rows.start, member * blocks + block[hit] + columns.start, values[hit, member])

    def close(self) -> tuple[Tensor, Tensor]:
        """Return the columns (P,) that are left, row by row and in order, and how many each row has (M,)."""
        self._prune()
        row, column, _ = self._pairs[0]
        return column[(row * 2**32 + column).argsort()], self._seen[: self.count]

    def _note(self, row: Tensor, column: Tensor, values: Tensor) -> None:
        self._pairs.append((row, column, values))
        self._seen += torch.bincount(row, minlength=len(self._seen))
        self._waiting += len(row)
        if self._waiting > self._room:
            self._prune()
        self.lost |= self._seen > STALE * self.most

    def _prune(self) -> None:
        """Drop the pairs that the bars of now rule out, and those of rows with too many."""
        row, column, values = (torch.cat(parts) for parts in zip(*self._pairs, strict=True))
        bars = self.bar(self.best[:, -1:], slice(0, len(self.best)))[:, 0]
        near = values >= bars[row]
        self.lost |= torch.bincount(row[near], minlength=len(self.lost)) > self.most
        near &= ~self.lost[row]
        self._pairs = [(row[near], column[near], values[near])]
        self._seen = torch.bincount(row[near], minlength=len(self.lost))
        self._waiting = len(self._pairs[0][0])


def _members(columns: int, k: int) -> int:
    """Return how many of some columns, a multiple of 32, make a block.

    There are twice as many blocks as k, and not so few that looking into some costs more than finding them.
    """
    members = WIDEST
    while members > 1 and columns < 2 * members * max(k, members):
        members //= 2
    return members
