"""How a ReLU is held between two straight lines."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsp_core.certify.ranges import Range
from lsp_core.certify.rows import Rows, Shape, dotted


@dataclass(frozen=True)
class Lines:
    """Two straight lines that hold each ReLU of maps (N,C,H,W) between them, over the range of what it is given.

    Zhang et al. 2018 (CROWN, section 3.2): above, the chord from its value at one end to that at the other; below,
    a line through zero of slope 0 or 1, whichever leaves the smaller triangle.

    Attributes:
        above: slope of the upper line, and ``lift`` its value at zero.
        below: slope of the lower line.
    """

    above: Tensor
    lift: Tensor
    below: Tensor

    @classmethod
    def over(cls, given: Range) -> Lines:
        """Return the lines over a range."""
        low, high = (bound.contiguous(memory_format=torch.channels_last) for bound in (given.low, given.high))
        loose, active = (low < 0) & (high > 0), (low >= 0).double()
        chord = high / torch.where(loose, high - low, 1.0)
        above = torch.where(loose, chord, active)
        return cls(above, torch.where(loose, -low * chord, 0.0), torch.where(loose, (high > -low).double(), active))

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Return lower bounds of forms: what is counted positively from below, what negatively from above."""
        down, lift = rows.values.clamp_max(0), rows.under(self.lift)
        slopes = torch.where(rows.values < 0, rows.under(self.above), rows.under(self.below))
        return rows.moved(slopes.mul_(rows.values), rows.corner, shape).plus(dotted(down, lift))
