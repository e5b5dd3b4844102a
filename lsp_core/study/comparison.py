"""What runs say together: of a data set and an objective, one variant beside the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lsp_core.evaluation.entry import Entry
from lsp_core.radius import show_eps
from lsp_core.study.grid import Grid
from lsp_core.study.lead import CLEAN, Lead, strongest_first
from lsp_core.study.result import Result

BASELINE, TWIN = "baseline", "LSP"  # the variants that are twins


@dataclass(frozen=True)
class Variant:
    """What is known of a variant, by seed."""

    name: str
    results: dict[int, Result]

    @property
    def attacked(self) -> list[Result]:
        """The runs that have been attacked."""
        return [result for result in self.results.values() if result.evaluations]

    def under(self, attack: str) -> dict[int, Entry]:
        """Return by seed its evaluation under an attack, by the name in the preset; ``CLEAN`` has the first of each."""
        found = {seed: result.under for seed, result in self.results.items() if result.evaluations}
        if attack == CLEAN:
            return {seed: next(iter(entries.values())) for seed, entries in found.items()}
        return {seed: entries[attack] for seed, entries in found.items() if attack in entries}

    def neighbors_lead(self, other: Variant, figure: str, *, unit_length: bool) -> Lead | None:
        """Compare neighbourhoods with another variant's, by one of ``FIGURES``; None if they share no seed."""
        mine, theirs = (
            {
                seed: near
                for seed, result in variant.results.items()
                if (near := result.directions if unit_length else result.preservation)
            }
            for variant in (self, other)
        )
        return Lead.of_neighbors(mine, theirs, figure)

    def lead(self, other: Variant, attack: str) -> Lead | None:
        """Compare with another variant under an attack, or ``CLEAN``; None if they share no seed."""
        return Lead.between(self.under(attack), other.under(attack), attack)


@dataclass(frozen=True)
class Comparison:
    """The variants of one data set and objective, in the order of the grids.

    Attributes:
        first: the name of the variant that the others are compared with.
        controls: those of other ones that they are compared with, too.
        seeds: those that the grids ask for, and ``attacks``.
    """

    dataset: str
    objective: str
    first: str
    controls: tuple[str, ...]
    seeds: tuple[int, ...]
    attacks: tuple[str, ...]
    variants: dict[str, Variant]

    @property
    def known(self) -> list[Variant]:
        """The variants of which anything is known."""
        return [variant for variant in self.variants.values() if variant.results]

    @property
    def attacked(self) -> list[Variant]:
        """The variants that have been attacked."""
        return [variant for variant in self.known if variant.attacked]

    @property
    def results(self) -> list[Result]:
        """All runs of all variants."""
        return [result for variant in self.known for result in variant.results.values()]

    @property
    def radii(self) -> list[str]:
        """The radii of the runs, as people read them."""
        return [show_eps(eps) for eps in sorted({result.eps for result in self.results})]

    def lead(self, own: str, other: str) -> Lead | None:
        """Compare two variants under the strongest attack that both know on a seed, None if there is none."""
        leads = self._leads(own, other)
        return leads[0] if leads else None

    def best_lead(self, own: str, other: str) -> Lead | None:
        """Compare two variants under the attack that says most of both, None if there is none.

        Evidence comes before anything else, then what more seeds and more images have been through, then strength.
        """
        leads = self._leads(own, other)
        return max(leads, key=lambda lead: (lead.evidence, len(lead.seeds), lead.n), default=None)  # of equals, first

    def _leads(self, own: str, other: str) -> list[Lead]:
        leads = (self.variants[own].lead(self.variants[other], name) for name in strongest_first(self.attacks))
        return [lead for lead in leads if lead]


def comparisons(grids: Sequence[Grid], results: Mapping[str, Result]) -> list[Comparison]:
    """Return a comparison for each data set and objective of the grids, in their order.

    Args:
        grids: of a preset; what several say of one data set and objective is put together.
        results: of its runs by their names, as far as there are any.
    """
    pairs = dict.fromkeys((run.dataset, run.objective) for grid in grids for run in grid.runs())
    return [_comparison(*pair, grids, results) for pair in pairs]


def _comparison(dataset: str, objective: str, grids: Sequence[Grid], results: Mapping[str, Result]) -> Comparison:
    grids = [grid for grid in grids if dataset in grid.datasets and objective in grid.objectives]
    found: dict[str, dict[int, Result]] = {name: {} for grid in grids for name in grid.variants}
    for run in (run for grid in grids for run in grid.runs()):
        if (run.dataset, run.objective) == (dataset, objective) and run.id in results:
            found[run.variant][run.seed] = results[run.id]
    return Comparison(
        dataset,
        objective,
        first=next(iter(found)),
        controls=tuple(dict.fromkeys(name for grid in grids for name in grid.controls)),
        seeds=tuple(sorted({seed for grid in grids for seed in grid.seeds})),
        attacks=tuple(dict.fromkeys(name for grid in grids for name in grid.attacks)),
        variants={name: Variant(name, dict(sorted(by_seed.items()))) for name, by_seed in found.items()},
    )
