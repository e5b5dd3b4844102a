"""The layers that a bound can be taken through: forwards as intervals, backwards as linear forms.

All values are maps (N,C,H,W) in float64; a vector of D numbers is (N,D,1,1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from lsp_core.certify.ranges import OUTWARD, Range
from lsp_core.certify.rows import Rows, Shape, dotted


class Layer(Protocol):
    """A step from the maps of one layer or two to those of the next."""

    def interval(self, *given: Range) -> Range:
        """Return the range of what the layer makes of values in the given ranges."""

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Return forms of the layer's values as forms of what it is given, maps of ``shape``."""


@dataclass(frozen=True)
class Conv:
    """A convolution without a bias; average pooling is one, too."""

    weight: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def interval(self, *given: Range) -> Range:
        """Return the range of the sums: each weight takes the bound of its own sign."""
        middle, reach = self._forward(given[0].middle, self.weight), self._forward(given[0].reach, self.weight.abs())
        return Range(middle - reach, middle + reach)

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Spread each coefficient over what the convolution gathers there."""
        sizes = zip(rows.values.shape[2:], self.stride, self.dilation, self.weight.shape[2:], strict=True)
        if rows.corner is None:
            return rows.moved(self._spread(rows.values, self.padding, shape[1:]), None, shape)
        grown = tuple((size - 1) * step + far * (kernel - 1) + 1 for size, step, far, kernel in sizes)
        stride, padding = (torch.tensor(pair, device=rows.corner.device) for pair in (self.stride, self.padding))
        return rows.moved(self._spread(rows.values, (0, 0), grown), rows.corner * stride - padding, shape)

    def _spread(self, values: Tensor, padding: tuple[int, int], size: Sequence[int]) -> Tensor:
        """Return the transposed convolution (R,C,*size) of coefficients, without what falls outside.

        One product of matrices for all, and then a sum for each place of the kernel: in float64 torch's own goes one
        form after the other and takes two to eight times as long.
        """
        count, _, height, width = values.shape
        high, wide = self.weight.shape[2:]
        group = self.weight.shape[0] // self.groups
        parts = [
            (part.permute(0, 2, 3, 1).reshape(-1, group) @ matrix).view(count, height, width, high, wide, -1)
            for part, matrix in zip(values.split(group, 1), self._matrices, strict=True)
        ]
        terms = parts[0] if self.groups == 1 else torch.cat(parts, -1)
        spread = values.new_zeros(count, *size, terms.shape[-1])
        for row in range(high):
            above, below = _meeting(height, size[0], self.stride[0], row * self.dilation[0] - padding[0])
            for column in range(wide):
                left, right = _meeting(width, size[1], self.stride[1], column * self.dilation[1] - padding[1])
                spread[:, below, right] += terms[:, above, left, row, column]
        return spread.permute(0, 3, 1, 2)

    @cached_property
    def _matrices(self) -> list[Tensor]:
        """A matrix (outputs, height * width * inputs of the kernel) for each group."""
        return [part.permute(0, 2, 3, 1).flatten(1) for part in self.weight.chunk(self.groups)]

    def _forward(self, maps: Tensor, weight: Tensor) -> Tensor:
        return functional.conv2d(maps, weight, None, self.stride, self.padding, self.dilation, self.groups)


@dataclass(frozen=True)
class Linear:
    """A matrix (outputs, inputs) without a bias."""

    weight: Tensor

    def interval(self, *given: Range) -> Range:
        """Return the range of the sums: each weight takes the bound of its own sign."""
        middle, reach = given[0].middle.flatten(1) @ self.weight.T, given[0].reach.flatten(1) @ self.weight.abs().T
        return Range((middle - reach)[..., None, None], (middle + reach)[..., None, None])

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Multiply by the matrix."""
        return rows.moved((rows.values.flatten(1) @ self.weight).view(-1, *shape), None, shape)


@dataclass(frozen=True)
class Scale:
    """A factor and then a summand for each value, (C,1,1) or whatever a map takes: batch norm, a bias, normalising."""

    factor: Tensor
    summand: Tensor

    def interval(self, *given: Range) -> Range:
        """Return the range of the values, wherever the factor is negative the other way round."""
        middle, reach = given[0].middle * self.factor + self.summand, given[0].reach * self.factor.abs()
        reach = reach + OUTWARD * self.summand.abs()
        return Range(middle - reach, middle + reach)

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Scale each coefficient, and take the summands into the constant."""
        factor, summand = self.factor, self.summand
        if rows.corner is not None and {*factor.shape[-2:], *summand.shape[-2:]} != {1}:
            rows = rows.whole(shape)
        added = dotted(rows.values, summand.expand(1, *rows.values.shape[1:]))
        return rows.moved(rows.values * factor, rows.corner, shape).plus(added)


@dataclass(frozen=True)
class Reshape:
    """The same numbers as maps of another shape."""

    source: Shape
    target: Shape

    def interval(self, *given: Range) -> Range:
        """Return the same bounds in the other shape."""
        return Range(given[0].low.reshape(-1, *self.target), given[0].high.reshape(-1, *self.target))

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Return the same coefficients in the shape before."""
        whole = rows.whole(self.target)
        values = whole.values.reshape(-1, *self.source).contiguous(memory_format=torch.channels_last)
        return whole.moved(values, None, shape)


@dataclass(frozen=True)
class Add:
    """The sum of two layers' values."""

    def interval(self, *given: Range) -> Range:
        """Return the range of the sums."""
        low, high = given[0].low + given[1].low, given[0].high + given[1].high
        return Range(low - OUTWARD * low.abs(), high + OUTWARD * high.abs())

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Return the coefficients as they are: they hold for either summand."""
        return rows.moved(rows.values, rows.corner, shape)


@dataclass(frozen=True)
class Relu:
    """The larger of a value and zero; its forms depend on the range of its values, see ``Lines``."""

    def interval(self, *given: Range) -> Range:
        """Return the range without what is below zero."""
        return Range(given[0].low.clamp_min(0), given[0].high.clamp_min(0))

    def back(self, rows: Rows, shape: Shape) -> Rows:
        """Refuse: ``Lines.back`` does this."""
        raise NotImplementedError


def _meeting(count: int, size: int, step: int, shift: int) -> tuple[slice, slice]:
    """Return which of ``count`` places, times ``step`` and moved by ``shift``, are among ``size``, and where there."""
    first, last = max(0, -(shift // step)), min(count - 1, (size - 1 - shift) // step)
    if last < first:
        return slice(0), slice(0)
    return slice(first, last + 1), slice(first * step + shift, last * step + shift + 1, step)
