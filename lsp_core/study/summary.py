"""What the runs of a grid say together: one table per data set and objective, one row per variant."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsp_core.intervals import mean_difference_interval, paired_interval
from lsp_core.radius import show_eps
from lsp_core.study.outcome import Outcome, Score
from lsp_core.study.preset import Grid

STRONGEST = ("autoattack", "fast", "apgd-t", "apgd-dlr", "apgd", "pgd")


@dataclass(frozen=True)
class Spread:
    """One value per seed."""

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
    """By how much a variant is ahead of another under one attack, on the same images and seeds.

    Attributes:
        attack: what people call it.
        gained: the robust accuracy of the one minus that of the other, one value per seed, as fractions.
        interval: 95 % of the mean of ``gained``, over test images, given these trainings.
    """

    attack: str
    gained: Spread
    interval: tuple[float, float]


@dataclass(frozen=True)
class Row:
    """A variant: what is known of it by seed."""

    variant: str
    outcomes: dict[int, Outcome]

    def scores(self, attack: str) -> list[Score]:
        """Return what it scored under an attack, by the name in the preset: one per seed that has been attacked."""
        return [outcome.scores[attack] for outcome in self.outcomes.values() if attack in outcome.scores]

    def lead(self, other: Row, attacks: Iterable[str]) -> Lead | None:
        """Compare with another variant under the strongest of ``attacks`` that both know on a seed, None if none is."""
        for name in strongest_first(attacks):
            pairs = [
                (mine.scores[name], theirs.scores[name])
                for seed, mine in self.outcomes.items()
                if (theirs := other.outcomes.get(seed)) and name in mine.scores and name in theirs.scores
            ]
            pairs = [(mine, theirs) for mine, theirs in pairs if (mine.eps, mine.n) == (theirs.eps, theirs.n)]
            if pairs:
                return _lead(pairs)
        return None


@dataclass(frozen=True)
class Table:
    """The rows of one data set and objective that hold anything, in the order of the grid.

    Attributes:
        first: the variant that the others are compared with; it may have no row yet.
        attacks: those of the grid that a row was attacked with.
    """

    dataset: str
    objective: str
    first: str
    attacks: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def baseline(self) -> Row | None:
        """The row of ``first``, None if there is none."""
        return next((row for row in self.rows if row.variant == self.first), None)

    @property
    def radii(self) -> list[str]:
        """The radii that the rows were trained for, as people read them."""
        return [show_eps(eps) for eps in sorted({outcome.eps for outcome in self.outcomes})]

    @property
    def outcomes(self) -> list[Outcome]:
        """All runs of all rows."""
        return [outcome for row in self.rows for outcome in row.outcomes.values()]


def tables(grid: Grid, outcomes: Mapping[str, Outcome]) -> list[Table]:
    """Return the tables of a grid; those without any run are left out."""
    found: dict[tuple[str, str], dict[str, dict[int, Outcome]]] = {}
    for run in grid.runs():
        if run.id in outcomes:
            rows = found.setdefault((run.dataset, run.objective), {name: {} for name in grid.variants})
            rows[run.variant][run.seed] = outcomes[run.id]
    result = []
    for (dataset, objective), by_variant in found.items():
        kept = tuple(Row(name, by_seed) for name, by_seed in by_variant.items() if by_seed)
        attacks = tuple(name for name in grid.attacks if any(row.scores(name) for row in kept))
        result.append(Table(dataset, objective, next(iter(grid.variants)), attacks, kept))
    return result


def strongest_first(attacks: Iterable[str]) -> list[str]:
    """Order attacks so that the most trusted one comes first; those without a rank come last, as they are."""
    rank = {name: place for place, name in enumerate(STRONGEST)}
    return sorted(attacks, key=lambda name: rank.get(name, len(rank)))


def _lead(pairs: Sequence[tuple[Score, Score]]) -> Lead:
    """Compare seed by seed and image by image."""
    n = min(mine.n for mine, _ in pairs)  # a seed draws the images in one order: the fewer are the first of the more
    mine, theirs = (np.stack([score.right[:n] for score in side]) for side in zip(*pairs, strict=True))
    gained = Spread(tuple((mine.mean(1) - theirs.mean(1)).tolist()))
    if len(pairs) == 1:
        interval = paired_interval(mine[0], theirs[0])
    else:
        interval = mean_difference_interval((mine.mean(0) - theirs.mean(0)).tolist())
    return Lead(pairs[0][0].attack, gained, interval)
