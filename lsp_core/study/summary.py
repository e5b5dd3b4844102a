"""What the runs of a grid say together: one table per data set and objective, one row per variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lsp_core.radius import show_eps
from lsp_core.study.lead import CLEAN, Lead
from lsp_core.study.outcome import Outcome
from lsp_core.study.preset import Grid
from lsp_core.study.score import Score, strongest_first


@dataclass(frozen=True)
class Row:
    """A variant: what is known of it by seed."""

    variant: str
    outcomes: dict[int, Outcome]

    @property
    def measured(self) -> list[Outcome]:
        """The runs that have been attacked."""
        return [outcome for outcome in self.outcomes.values() if outcome.scores]

    def scores(self, attack: str) -> dict[int, Score]:
        """Return by seed what it scored under an attack, by its name in the preset; ``CLEAN`` has the first of each."""
        found = {seed: outcome.scores for seed, outcome in self.outcomes.items() if outcome.scores}
        if attack == CLEAN:
            return {seed: next(iter(scores.values())) for seed, scores in found.items()}
        return {seed: scores[attack] for seed, scores in found.items() if attack in scores}

    def lead(self, other: Row, attacks: Sequence[str]) -> Lead | None:
        """Compare with another variant under the strongest of ``attacks`` that both know on a seed, None if none is."""
        leads = (Lead.between(self.scores(name), other.scores(name), name) for name in strongest_first(attacks))
        return next((lead for lead in leads if lead), None)


@dataclass(frozen=True)
class Table:
    """The rows of one data set and objective that hold anything, in the order of the grid.

    Attributes:
        first: the variant that the others are compared with; it may have no row yet.
        control: another one that they are compared with, "" for none; it may have no row yet.
        attacks: those of the grid that a row was attacked with.
    """

    dataset: str
    objective: str
    first: str
    control: str
    attacks: tuple[str, ...]
    rows: tuple[Row, ...]

    def row(self, variant: str) -> Row | None:
        """Return the row of a variant, None if there is none."""
        return next((row for row in self.rows if row.variant == variant), None)

    @property
    def radii(self) -> list[str]:
        """The radii of the rows, as people read them."""
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
        result.append(Table(dataset, objective, next(iter(grid.variants)), grid.control, attacks, kept))
    return result
