"""The k nearest of points: products in few digits say who may be among them, and those are measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsp_core.neighborhoods.copies import without_spare_copies
from lsp_core.neighborhoods.measured import Neighbors, measure, measure_all
from lsp_core.neighborhoods.rough import Bar, Frame, Rough
from lsp_core.neighborhoods.scan import scan
from lsp_core.neighborhoods.shortlist import Shortlist
from lsp_core.precision import pick_precision

PROBED = 64  # rows that are tried before all
SMALL = 2**17  # numbers, of which nothing need be tried before
TURNED = 256  # dimensions from which it pays to make each product once for both of its points


def knn(points: Tensor, k: int, queries: Tensor | None = None) -> Neighbors:
    """Find the k nearest of ``points`` (N,D) to each query (M,D), or to each point itself, which then does not count.

    Exact, whatever the points: the rows and the order that measuring and sorting all distances would give, with ties
    to the lower row number. Memory grows with N + M.

    >>> knn(torch.tensor([[0.0], [1.0], [3.0]]), 1).indices.tolist()
    [[1], [0], [1]]

    Raises:
        ValueError: if k is below 1, there are not enough points, or not all are finite.
    """
    available = len(points) - (queries is None)
    if not 1 <= k <= available:
        raise ValueError(f"k is {k}, but it must be from 1 to {available}, the number of points to choose from.")
    asked = points if queries is None else queries
    frame = Frame.of(points, asked)
    kept = without_spare_copies(points, k + 1)
    if kept is None:
        return _Search(points, asked, k, frame, queries is None).found()
    # Of equal points only the first k + 1 can be among the k nearest of anything, be it one of them.
    few, found = points[kept], Neighbors.unknown(points, len(asked), k)
    rest = torch.ones(len(asked), dtype=torch.bool, device=points.device)
    if queries is None:
        rest[kept] = False
        found.distances[kept], found.indices[kept] = _Search(few, few, k, frame, True).found()
    found.distances[rest], found.indices[rest] = _Search(few, asked[rest], k, frame, False).found()
    return Neighbors(found.distances, kept[found.indices])


def knn_others(points: Tensor, k: int, queries: Tensor, own: Tensor) -> Neighbors:
    """Find the k nearest of ``points`` (N,D) to each query (M,D), whose ``own`` row (M,) of the points does not count.

    A query is often what became of a point, which is then no neighbour of its own; -1 if it is of none.

    >>> knn_others(torch.tensor([[0.0], [1.0], [3.0]]), 1, torch.tensor([[0.9]]), torch.tensor([1])).indices.tolist()
    [[0]]

    Raises:
        ValueError: if k is not from 1 to N - 1, or not all are finite.
    """
    if not 1 <= k < len(points):
        raise ValueError(f"k is {k}, but it must be from 1 to {len(points) - 1}, the number of points to choose from.")
    found = knn(points, k + 1, queries)
    itself = found.indices == own[:, None]
    itself[:, -1] |= ~itself.any(1)  # one that is farther than the others takes nobody's place
    return Neighbors(*(part[~itself].view(len(queries), k) for part in found))


@dataclass(frozen=True)
class _Search:
    """For the k of some points that are nearest to each that is asked; ``itself``: asked are the points."""

    points: Tensor
    asked: Tensor
    k: int
    frame: Frame
    itself: bool

    def found(self) -> Neighbors:
        """Return the neighbours."""
        found = Neighbors.unknown(self.points, len(self.asked), self.k)
        rows = torch.arange(len(self.asked), device=self.points.device)
        for dtype in self._precisions():
            if len(rows):
                rows = self._settle(rows, dtype, found)
        measure_all(self.points, self.asked, rows, found, itself=self.itself)
        return found

    def _precisions(self) -> list[torch.dtype]:
        """Return the precisions to multiply in, one for what the other leaves."""
        (count, dimensions), about = self.points.shape, torch.finfo(self.points.dtype)
        # Beyond these, distances underflow or overflow as they are measured; and of so many all may as well be.
        if not about.tiny**0.5 < self.frame.reach < (about.max / max(1, 4 * dimensions)) ** 0.5 or 4 * self.k >= count:
            return []
        on_cpu = self.points.device.type == "cpu"  # a GPU may sum products of bfloat16 in bfloat16
        half = on_cpu and pick_precision("auto", self.points.device) == "bfloat16"
        return [torch.bfloat16 if half else torch.float32, torch.float64]

    def _settle(self, rows: Tensor, dtype: torch.dtype, found: Neighbors) -> Tensor:
        """Set the neighbours of rows (n,) where products in some precision tell them apart, and return the others."""
        right = Rough.of(self.points, self.frame, dtype)
        left = right if self.itself else Rough.of(self.asked, self.frame, dtype)
        if len(rows) > 4 * PROBED and self.points.numel() > SMALL:
            short = self._scan(left, right, rows[:: len(rows) // PROBED])
            short.close()
            known = ~short.lost
            if int(known.sum()) < PROBED // 2:
                return rows
            middle = max(0.0, -float(short.best[known, -1].median()))
            for side in {id(side): side for side in (left, right)}.values():
                side.raise_to(middle)
        short = self._scan(left, right, rows)
        columns, counts = short.close()
        whole = len(rows) == len(self.asked)
        own = found if whole else Neighbors.unknown(self.points, len(rows), self.k)
        measure(self.points, self.asked if whole else self.asked[rows], columns, counts, own)
        settled = counts > 0
        if not whole:
            found.distances[rows[settled]] = own.distances[settled]
            found.indices[rows[settled]] = own.indices[settled]
        return rows[~settled]

    def _scan(self, left: Rough, right: Rough, rows: Tensor) -> Shortlist:
        whole = len(rows) == left.count
        # Beyond so many, products in more digits cost less than measuring.
        most = 2 * self.k + min(len(self.points) // 32, 128)
        left = left if whole else left.take(rows)
        short = Shortlist(left.count, self.k, most, Bar(left, right, self.points.dtype))
        once = whole and self.itself and self.points.shape[1] >= TURNED
        scan(left, right, rows if self.itself else None, short, once=once)
        return short
