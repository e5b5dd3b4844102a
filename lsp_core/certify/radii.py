"""Radii of many images of one model, proved and found: the file of ``certify --json``."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import ClassVar

from lsp_core.evaluation.intervals import median_interval, wilson_interval
from lsp_core.store.schema import Stored
from lsp_core.types import Norm

RADII: dict[Norm, tuple[float, ...]] = {"Linf": (4 / 255, 8 / 255, 16 / 255), "L2": (0.1, 0.25, 0.5)}


@dataclass(frozen=True, kw_only=True)
class Radii(Stored):
    """Up to where test images are proved safe and from where on the model was seen fooled, with what repeats it.

    Attributes:
        checkpoint: its name, and ``weights`` the SHA-256 of its weights.
        n: test images, drawn by ``seed``, right and wrong.
        proved: one radius an image, 0 where nothing is proved.
        found: one radius an image, 0 where it is wrong already, None where nothing was found; empty if nobody looked.
        found_8bit: the same after rounding to 8 bits, None where that undoes it.
        attack: what looked, in words.
        proved_seconds: wall time, of the proofs, and ``found_seconds`` of the attack.
        date: YYYY-MM-DD.

    Raises:
        ValueError: if a value cannot be meant; above all, if a radius is proved at which the model was seen fooled.
    """

    SCHEMA: ClassVar[str] = "lsp-lab/radii/1"

    checkpoint: str
    weights: str
    dataset: str
    split: str
    norm: Norm
    n: int
    seed: int
    proved: tuple[float, ...]
    proved_seconds: float
    found: tuple[float | None, ...] = ()
    found_8bit: tuple[float | None, ...] = ()
    attack: str = ""
    found_seconds: float = 0.0
    device: str
    versions: dict[str, str]
    date: str

    def __post_init__(self) -> None:
        if self.n < 1 or len(self.proved) != self.n or {len(self.found), len(self.found_8bit)} - {0, self.n}:
            raise ValueError(f"proved, found and found_8bit must have a radius for each of the n = {self.n} images.")
        radii = [*self.proved, *(one for one in (*self.found, *self.found_8bit) if one is not None)]
        if not all(math.isfinite(one) and one >= 0 for one in radii):
            raise ValueError("a radius is below 0 or not finite, but each must be 0 or more (pixels).")
        for place, (safe, fooled) in enumerate(zip(self.proved, self.found, strict=False)):
            if fooled is not None and safe > fooled:
                raise ValueError(f"image {place} is proved up to {safe:g}, but was fooled at {fooled:g}.")

    @property
    def smallest(self) -> list[float]:
        """The radii found; infinite where there is none."""
        return [math.inf if one is None else one for one in self.found]

    def certified(self, eps: float) -> list[bool]:
        """Return which images are right and proved to stay so within ``eps``, which is above 0."""
        return [one >= eps for one in self.proved]

    def accuracy(self, eps: float) -> tuple[float, float, float]:
        """Return the certified accuracy within ``eps`` and its Wilson 95 % interval."""
        right = sum(self.certified(eps))
        return (right / self.n, *wilson_interval(right, self.n))


def median(values: list[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % interval; of an even number the lower of the two in the middle.

    >>> median([4.0, 1.0, 3.0, 2.0])
    (2.0, -inf, inf)
    """
    return (statistics.median_low(values), *median_interval(values))
