"""Between which bounds the values of a layer lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

OUTWARD = 1e-12  # of what is summed up, far above what float64 can lose there


@dataclass(frozen=True)
class Range:
    """Between which bounds each value of a map (N,C,H,W) lies."""

    low: Tensor
    high: Tensor

    @property
    def middle(self) -> Tensor:
        """Halfway between the bounds."""
        return (self.low + self.high) / 2

    @property
    def reach(self) -> Tensor:
        """How far the values can be from the middle, a trifle outwards, so that rounding moves no bound inwards."""
        half = (self.high - self.low) / 2
        return half + OUTWARD * (self.middle.abs() + half)

    @classmethod
    def unknown(cls, shape: Sequence[int], like: Tensor) -> Range:
        """Return the range of values that may be anything."""
        return cls(like.new_full(shape, -torch.inf), like.new_full(shape, torch.inf))

    def at(self, rows: Tensor) -> Range:
        """Return the ranges of some of the images."""
        return Range(self.low[rows], self.high[rows])

    def put(self, rows: Tensor, other: Range) -> None:
        """Take over the ranges of some of the images."""
        self.low[rows], self.high[rows] = other.low, other.high

    def meet(self, other: Range) -> Range:
        """Return what two ranges of the same values say together."""
        return Range(torch.maximum(self.low, other.low), torch.minimum(self.high, other.high))
