"""Linear forms of a layer's values, many at once: how a neuron depends on what stands before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Rows:
    """R linear forms over maps (C,H,W), each of an image of its own: coefficients, and a constant.

    A neuron of a convolution depends on a small window, so that only a window of coefficients is kept, and where it
    stands. As it grows to the whole map on its way back, the form becomes a dense one.

    Attributes:
        values: (R,C,h,w) the coefficients, best with the channels last in memory; outside the map they are zero.
        image: (R,) the image whose maps are meant.
        corner: (R,2) where the windows begin, row and column; they may reach out of the map. None is the whole map.
        constant: (R,).
    """

    values: Tensor
    image: Tensor
    corner: Tensor | None
    constant: Tensor

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def of_neurons(cls, where: Tensor, shape: Shape, sign: float) -> Rows:
        """Return the forms that are ``sign`` times one value each; ``where`` (R,4) is image, channel, row, column."""
        image, channel, place = where[:, 0], where[:, 1], where[:, 2:]
        values = torch.zeros(len(where), shape[0], 1, 1, dtype=torch.float64, device=where.device)
        values[torch.arange(len(where), device=where.device), channel] = sign
        alone = shape[1:] == (1, 1)
        return cls(values, image, None if alone else place, values.new_zeros(len(where)))

    @classmethod
    def of(cls, values: Tensor, image: int) -> Rows:
        """Return forms over whole maps of one image."""
        return cls(values, torch.full((len(values),), image, device=values.device), None, values.new_zeros(len(values)))

    def under(self, maps: Tensor) -> Tensor:
        """Return what stands in the windows of maps (N,C,H,W): (R,C,h,w), zero outside, or (1,C,H,W) for one image."""
        if self.corner is None:
            first = int(self.image[0])
            return maps[first : first + 1] if bool((self.image == first).all()) else maps[self.image]
        height, width = self.values.shape[2:]
        padded = functional.pad(maps, (width, width, height, height)).permute(0, 2, 3, 1)
        down = torch.arange(height, device=maps.device) + (self.corner[:, :1] + height).clamp(0, maps.shape[2] + height)
        across = torch.arange(width, device=maps.device) + (self.corner[:, 1:] + width).clamp(0, maps.shape[3] + width)
        return padded[self.image[:, None, None], down[:, :, None], across[:, None]].permute(0, 3, 1, 2)

    def moved(self, values: Tensor, corner: Tensor | None, shape: Shape) -> Rows:
        """Return forms over maps of another shape, made whole where a window is half of it or more."""
        if corner is None:
            return replace(self, values=values, corner=None)
        (height, width), (high, wide) = values.shape[2:], shape[1:]
        if 2 * height * width >= high * wide:
            rows, columns = _places(corner[:, 0], height, high), _places(corner[:, 1], width, wide)
            padded = functional.pad(values, (0, 1, 0, 1)).permute(0, 2, 3, 1)
            every = torch.arange(len(values), device=values.device)[:, None, None]
            spread = padded[every, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
            return replace(self, values=spread, corner=None)
        down = torch.arange(height, device=values.device) + corner[:, :1]
        across = torch.arange(width, device=values.device) + corner[:, 1:]
        inside = ((down >= 0) & (down < high))[:, None, :, None] & ((across >= 0) & (across < wide))[:, None, None]
        return replace(self, values=values * inside, corner=corner)

    def whole(self, shape: Shape) -> Rows:
        """Return the same forms with coefficients for every place of the maps."""
        if self.corner is None:
            return self
        height, width = (max(0, most - size) for most, size in zip(shape[1:], self.values.shape[2:], strict=True))
        return self.moved(functional.pad(self.values, (0, width, 0, height)), self.corner, shape)

    def joined(self, other: Rows, shape: Shape) -> Rows:
        """Return the sums of these forms and others of the same maps, one by one."""
        one, two = self.whole(shape), other.whole(shape)
        return replace(one, values=one.values + two.values, constant=one.constant + two.constant)

    def at(self, some: Tensor) -> Rows:
        """Return some of the forms, by number."""
        corner = None if self.corner is None else self.corner[some]
        return Rows(self.values[some], self.image[some], corner, self.constant[some])

    @property
    def size(self) -> int:
        """Coefficients of one form."""
        return self.values[0].numel()

    def plus(self, constant: Tensor) -> Rows:
        """Return the forms with (R,) added."""
        return replace(self, constant=self.constant + constant)


def _places(begin: Tensor, size: int, most: int) -> Tensor:
    """Return for each of ``most`` places of a map which of a window's ``size`` it is; ``size`` where it is none."""
    place = torch.arange(most, device=begin.device) - begin[:, None]
    return torch.where((place >= 0) & (place < size), place, size)


def dotted(values: Tensor, others: Tensor) -> Tensor:
    """Return the inner products (R,) of maps (R,C,h,w) with others, (R,C,h,w) or one for all."""
    values, others = values.permute(0, 2, 3, 1).flatten(1), others.permute(0, 2, 3, 1).flatten(1)
    return values @ others[0] if len(others) == 1 else (values * others).sum(1)
