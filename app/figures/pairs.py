"""Two evaluations compared: how many points lie between them, and how sure that is. Rows are those of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsp_core.evaluation.intervals import paired_interval, wilson_interval


@dataclass(frozen=True)
class Difference:
    """The accuracy in one row minus that in another, as fractions.

    Attributes:
        interval: 95 %, where the results of both are known image by image; else None.
        n: how many images both saw; 0 if that is not known.
        within: whether the other figure lies within the Wilson interval of the one, on the same images if known.
    """

    gained: float
    interval: tuple[float, float] | None
    n: int
    within: bool

    @property
    def points(self) -> str:
        """The difference in percentage points, signed, with its interval."""
        if self.interval is None:
            return f"{100 * self.gained:+.1f}"
        low, high = self.interval
        return f"{100 * self.gained:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def difference(one: Any, other: Any) -> Difference:
    """Compare two rows; image by image if both kept their results, of the images that both saw.

    A seed draws the images in one order, so that the fewer are the first of the more.
    """
    same = (one["dataset"], one["split"], one["seed"]) == (other["dataset"], other["split"], other["seed"])
    a, b = survivors(one), survivors(other)
    if same and one["seed"] is not None and a is not None and b is not None:
        n = min(len(a), len(b))
        a, b = a[:n], b[:n]
        low, _ = wilson_interval(int(a.sum()), n)
        return Difference(float(a.mean() - b.mean()), paired_interval(a, b), n, bool(b.mean() >= low))
    shared = int(one["n"]) if same and one["n"] == other["n"] else 0
    return Difference(float(one["robust"] - other["robust"]), None, shared, bool(other["robust"] >= one["low"]))


def survivors(row: Any) -> NDArray[np.bool_] | None:
    """Unpack which images were right before and after the attack; None if that is not in the file or contradicts it."""
    try:
        packed = np.frombuffer(bytes.fromhex(row["bits"]), np.uint8)
    except ValueError:
        return None
    bits = np.unpackbits(packed)[: int(row["n"])].astype(bool)
    if len(bits) != row["n"] or len(bits) == 0 or abs(float(bits.mean()) - row["robust"]) > 1e-6:
        return None
    return bits
