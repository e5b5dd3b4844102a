"""Random numbers that belong to an image: the same for it in any batch, at any place, on any device.

A generator hands numbers out in order, so what an image gets would depend on who stands before it. Here a number is a
hash of the seed, the image's own pixels, and the number's place: SplitMix64 (Steele, Lea and Flood 2014), counted, not
chained. Integers wrap around and add up to the same in any order, so that no rounding can come between two machines.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64's constants
TURN = 2**40  # counters of one turn; no image has as many pixels


class Draws:
    """A stream of numbers for each of a batch of images.

    ``turn`` tells draws of one image apart: the restart, say, or the draw's number.
    """

    def __init__(self, images: Tensor, seed: int):
        """Read the images (N,C,H,W); equal pixels get equal numbers."""
        bits = (images.detach().flatten(1).float() + 0.0).contiguous().view(torch.int32).long()  # + 0.0: -0 is 0
        places = torch.arange(1, bits.shape[1] + 1, device=bits.device) * _signed(GOLDEN)
        self._keys = _mixed(_mixed(bits + places).sum(1) + _signed(seed * GOLDEN % 2**64))

    def at(self, rows: Tensor) -> Draws:
        """Return the streams of some of the images."""
        some = object.__new__(Draws)
        some._keys = self._keys[rows]
        return some

    def uniform(self, count: int, turn: int = 0) -> Tensor:
        """Draw ``count`` numbers from [0,1) for each image: float32 (N,count), multiples of 2^-24.

        >>> images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        >>> together, alone = Draws(images, seed=7), Draws(images[2:], seed=7)
        >>> bool(together.uniform(5)[2:].equal(alone.uniform(5)))
        True
        """
        counters = torch.arange(1, count + 1, device=self._keys.device) + turn * TURN
        numbers = _mixed(self._keys[:, None] + counters * _signed(GOLDEN))
        return _shifted(numbers, 40).float() / 2**24

    def normal(self, count: int, turn: int = 0) -> Tensor:
        """Draw ``count`` standard normal numbers for each image, float32 (N,count) (Box and Muller 1958)."""
        radius, angle = self.uniform(2 * count, turn).split(count, 1)
        return (-2 * torch.log1p(-radius)).sqrt() * torch.cos(2 * math.pi * angle)


def _mixed(numbers: Tensor) -> Tensor:
    """Scramble 64-bit integers: each bit of the result depends on all bits."""
    numbers = (numbers ^ _shifted(numbers, 30)) * _signed(FIRST)
    numbers = (numbers ^ _shifted(numbers, 27)) * _signed(SECOND)
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, places: int) -> Tensor:
    """Shift to the right and let zeros in; torch lets the sign in."""
    return (numbers >> places) & ((1 << (64 - places)) - 1)


def _signed(constant: int) -> int:
    """Return the signed 64-bit integer of the same bits: torch has no other."""
    return constant - 2**64 if constant >= 2**63 else constant
