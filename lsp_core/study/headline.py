"""The question of a study in short: a data set and an objective, with LSP and without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lsp_core.radius import show_eps
from lsp_core.study.lead import CLEAN, Lead
from lsp_core.study.outcome import Outcome
from lsp_core.study.preset import Grid, Preset
from lsp_core.study.score import strongest_first
from lsp_core.study.summary import Row

BASELINE, TWIN = "baseline", "LSP"  # the variants that a headline compares


@dataclass(frozen=True)
class Headline:
    """What the grids of a preset say together of a pair.

    Attributes:
        control: the variant that a grid with this pair names so, None if none does.
        seeds: those that the grids ask for, and ``attacks``.
    """

    dataset: str
    objective: str
    baseline: Row
    twin: Row
    control: Row | None
    seeds: tuple[int, ...]
    attacks: tuple[str, ...]

    @property
    def eps(self) -> str:
        """The radius as people read it, "" if nothing has been run."""
        radii = {outcome.eps for row in (self.baseline, self.twin) for outcome in row.outcomes.values()}
        return " and ".join(show_eps(eps) for eps in sorted(radii))

    @property
    def clean(self) -> Lead | None:
        """The twins compared without attack, None if there are not two."""
        return self.twin.lead(self.baseline, (CLEAN,))

    @property
    def attacked(self) -> Lead | None:
        """The twins compared under the attack that counts most, None if there is none that both know.

        Evidence comes before anything else, then what more seeds and more images have been through, then strength.
        """
        leads = [self.under(name) for name in strongest_first(self.attacks)]
        return max(
            (lead for lead in leads if lead),
            key=lambda lead: (lead.evidence, len(lead.seeds), lead.n),  # of equals the first, which is the strongest
            default=None,
        )

    def under(self, attack: str) -> Lead | None:
        """Compare the twins under an attack, by its name in the preset; None if it is not known of both."""
        return self.twin.lead(self.baseline, (attack,))


def headlines(preset: Preset, outcomes: Mapping[str, Outcome]) -> list[Headline]:
    """Return the pairs of a preset in its order, those without any run, too."""
    grids = [grid for grid in preset.grids if {BASELINE, TWIN} <= grid.variants.keys()]
    pairs = dict.fromkeys((run.dataset, run.objective) for grid in grids for run in grid.runs())
    return [_headline(*pair, grids, outcomes) for pair in pairs]


def _headline(dataset: str, objective: str, grids: Sequence[Grid], outcomes: Mapping[str, Outcome]) -> Headline:
    grids = [grid for grid in grids if dataset in grid.datasets and objective in grid.objectives]
    runs = [run for grid in grids for run in grid.runs() if (run.dataset, run.objective) == (dataset, objective)]

    def row(variant: str) -> Row:
        found = {run.seed: outcomes[run.id] for run in runs if run.variant == variant and run.id in outcomes}
        return Row(variant, dict(sorted(found.items())))

    control = next((grid.control for grid in grids if grid.control), "")
    return Headline(
        dataset,
        objective,
        baseline=row(BASELINE),
        twin=row(TWIN),
        control=row(control) if control else None,
        seeds=tuple(sorted({run.seed for run in runs if run.variant in (BASELINE, TWIN)})),
        attacks=tuple(dict.fromkeys(name for grid in grids for name in grid.attacks)),
    )
