"""By how much a variant is ahead of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsp_core.evaluation.intervals import crossed_interval, paired_interval
from lsp_core.study.score import EVIDENCE, Score
from lsp_core.study.spread import Spread

CLEAN = ""  # stands where an attack's name stands: without attack


@dataclass(frozen=True)
class Lead:
    """Two variants compared on the same images and seeds; accuracies are fractions.

    Attributes:
        name: the attack as the preset writes it; ``attack`` is what people call it, both "" without attack.
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
        """Whether this is more than one gradient attack says."""
        return self.name in (CLEAN, *EVIDENCE)

    @classmethod
    def between(cls, own: Mapping[int, Score], other: Mapping[int, Score], name: str) -> Lead | None:
        """Compare the scores of two variants by their seeds, None if they have nothing in common.

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
        differences = mine.astype(float) - theirs
        return cls(
            name=name,
            attack="" if name == CLEAN else next(iter(pairs.values()))[0].attack,
            n=n,
            seeds=tuple(pairs),
            own=Spread(tuple(mine.mean(1).tolist())),
            other=Spread(tuple(theirs.mean(1).tolist())),
            interval=crossed_interval(differences) if len(pairs) > 1 else paired_interval(mine[0], theirs[0]),
        )


def _alike(own: Score, other: Score, name: str) -> bool:
    return own.n == other.n and (name == CLEAN or own.eps == other.eps)


def _right(score: Score, name: str) -> NDArray[np.bool_]:
    return score.clean_right if name == CLEAN else score.right
