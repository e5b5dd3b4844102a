"""By how much a variant is ahead of another."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsp_core.attacks.table import EVIDENCE, kind, rank
from lsp_core.evaluation.entry import Entry
from lsp_core.evaluation.intervals import crossed_interval, mean_difference_interval, paired_interval
from lsp_core.study.preservation import Preservation

CLEAN = ""  # stands where an attack's name stands: without attack


@dataclass(frozen=True)
class Spread:
    """How one figure varies from training to training: a value per seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Their sample standard deviation, None of a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Lead:
    """Two variants compared on the same images and seeds; accuracies, or shares of neighbours, are fractions.

    Attributes:
        name: the attack as the preset writes it; ``attack`` is what people call it, both "" without attack. Of
            neighbourhoods it is the figure.
        n: test images.
        seeds: those that both have.
        own: the accuracy of the one, ``other`` that of the other; ``gained`` the difference.
        interval: 95 % of the mean of ``gained``: over other images, and of several seeds over other trainings, too.
    """

    name: str
    attack: str
    n: int
    seeds: tuple[int, ...]
    own: Spread
    other: Spread
    interval: tuple[float, float]

    @property
    def gained(self) -> Spread:
        """The accuracy of the one minus that of the other, seed by seed."""
        return Spread(tuple(own - other for own, other in zip(self.own.values, self.other.values, strict=True)))

    @property
    def evidence(self) -> bool:
        """Whether this is more than one attack alone says."""
        return self.name == CLEAN or is_evidence(self.name)

    @classmethod
    def between(cls, own: Mapping[int, Entry], other: Mapping[int, Entry], name: str) -> Lead | None:
        """Compare the evaluations of two variants by their seeds, None if they have nothing in common.

        Args:
            own: of the variant that may be ahead.
            other: of the other.
            name: of the attack, or ``CLEAN``; attacks of different radii are not compared.
        """
        pairs = {
            seed: (one, other[seed]) for seed, one in own.items() if seed in other and _alike(one, other[seed], name)
        }
        if not pairs:
            return None
        n = min(one.n for one, _ in pairs.values())  # a seed draws the images in one order: few are the first of many
        mine, theirs = (
            np.stack([_right(each, name)[:n] for each in side]) for side in zip(*pairs.values(), strict=True)
        )
        attack = "" if name == CLEAN else called(next(iter(pairs.values()))[0])
        alone = paired_interval(mine[0], theirs[0]) if len(pairs) == 1 else None
        return cls._of(name, attack, tuple(pairs), mine.astype(float), theirs.astype(float), alone)

    @classmethod
    def of_neighbors(
        cls, own: Mapping[int, Preservation], other: Mapping[int, Preservation], figure: str
    ) -> Lead | None:
        """Compare the neighbourhoods of two variants by their seeds, None if they have nothing in common.

        Args:
            own: of the variant that may be ahead.
            other: of the other.
            figure: one of ``FIGURES``, compared image by image; files from before have it only as a mean.
        """
        pairs = {
            seed: (one.shares(figure), other[seed].shares(figure))
            for seed, one in own.items()
            if seed in other and all(figure in each.images for each in (one, other[seed])) and one.n == other[seed].n
        }
        if not pairs:
            return None
        mine, theirs = (np.stack(side) for side in zip(*pairs.values(), strict=True))
        alone = mean_difference_interval((mine[0] - theirs[0]).tolist()) if len(pairs) == 1 else None
        return cls._of(figure, "", tuple(pairs), mine, theirs, alone)

    @classmethod
    def _of(
        cls,
        name: str,
        attack: str,
        seeds: tuple[int, ...],
        mine: NDArray[np.float64],
        theirs: NDArray[np.float64],
        alone: tuple[float, float] | None,
    ) -> Lead:
        """Return the lead of what one has of each image over what the other has, a row a seed."""
        own, other = (Spread(tuple(side.mean(1).tolist())) for side in (mine, theirs))
        return cls(name, attack, mine.shape[1], seeds, own, other, alone or crossed_interval(mine - theirs))


def called(entry: Entry) -> str:
    """Return what people call the attack of an evaluation."""
    known = kind(entry.name)
    return known.short(entry.label) if known else entry.label


def is_evidence(name: str) -> bool:
    """Whether a figure under an attack, by its name in ``ATTACKS``, is more than one attack alone says."""
    known = kind(name)
    return known is not None and known.role in EVIDENCE


def strongest_first(names: Iterable[str]) -> list[str]:
    """Order attacks, by their names in ``ATTACKS``: the most trusted first."""
    return sorted(names, key=rank, reverse=True)


def _alike(own: Entry, other: Entry, name: str) -> bool:
    return own.n == other.n and (name == CLEAN or own.eps == other.eps)


def _right(entry: Entry, name: str) -> NDArray[np.bool_]:
    return entry.clean_right if name == CLEAN else entry.robust_right
