"""Two evaluations compared: how many points lie between them, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_core.evaluation.entry import Entry
from lsp_core.evaluation.intervals import paired_interval


@dataclass(frozen=True)
class Difference:
    """The robust accuracy of one evaluation minus that of another, as fractions.

    Attributes:
        interval: 95 %, image by image, where both saw the same images; else None.
        n: how many images both saw; 0 if they are not the same.
    """

    gained: float
    interval: tuple[float, float] | None
    n: int

    @property
    def points(self) -> str:
        """The difference in percentage points, signed, with its interval."""
        if self.interval is None:
            return f"{100 * self.gained:+.1f}"
        low, high = self.interval
        return f"{100 * self.gained:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def difference(one: Entry, other: Entry) -> Difference:
    """Compare two evaluations, image by image of the images that both saw.

    A seed draws the images in one order, so that the fewer are the first of the more.
    """
    if one.seed is None or (one.dataset, one.split, one.seed) != (other.dataset, other.split, other.seed):
        return Difference(one.robust_accuracy - other.robust_accuracy, None, 0)
    n = min(one.n, other.n)
    a, b = one.robust_right[:n], other.robust_right[:n]
    return Difference(float(a.mean() - b.mean()), paired_interval(a, b), n)
