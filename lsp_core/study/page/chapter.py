"""What the page tells of one preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_core.study.comparison import Comparison, comparisons
from lsp_core.study.grid import Grid
from lsp_core.study.page.brief import brief
from lsp_core.study.page.curves import curve_plot
from lsp_core.study.page.frontier import frontier_plot
from lsp_core.study.page.machines import Machines
from lsp_core.study.page.scatter import scatter_plot
from lsp_core.study.page.tables import MarkdownTable, side_tables, tables
from lsp_core.study.preset import FOLDER, Preset
from lsp_core.study.result import Result

DRAWN = 3  # variants, beyond which curves cannot be told apart


@dataclass(frozen=True)
class Section:
    """A grid.

    Attributes:
        runs: that it asks for; ``begun`` those of which anything is known, ``done`` those that are complete.
        plots: by data set, as the page links to them.
        frontier: the plot of the neighbours' weights, as the page links to it; "" if there is none.
        comparisons: each with its tables.
    """

    grid: Grid
    runs: int
    begun: int
    done: int
    plots: dict[str, str]
    frontier: str
    comparisons: list[tuple[Comparison, list[MarkdownTable]]]


@dataclass(frozen=True)
class Chapter:
    """A preset.

    Attributes:
        argument: what one types to repeat it.
        results: of its runs, as far as there are any.
        brief: its twins in short.
        scatter: the plot of all runs, as the page links to it; "" if there is none.
    """

    name: str
    argument: str
    results: Sequence[Result]
    machines: Machines
    brief: MarkdownTable
    sections: list[Section]
    scatter: str

    @classmethod
    def of(cls, preset: Preset, results: Mapping[str, Result], out: Path) -> Chapter:
        """Put together what is known of a preset, and draw it below ``out``."""
        machines, sections, shown = Machines.of(results.values()), [], set[str]()
        for place, grid in enumerate(preset.grids):
            runs = {run.id for run in grid.runs()}
            stem = f"{preset.name}-{place + 1}"
            sections.append(_section(grid, results, machines, again=runs <= shown, out=out, stem=stem))
            shown |= runs
        every = [comparison for section in sections for comparison, _ in section.comparisons]
        shipped = (FOLDER / f"{preset.name}.toml").is_file()
        return cls(
            name=preset.name,
            argument=preset.name if shipped else f"{preset.name}.toml",
            results=list(results.values()),
            machines=machines,
            brief=brief(preset, results, machines),
            sections=sections,
            scatter=_link(scatter_plot(every, out / "plots" / f"{preset.name}-neighbours.svg"), out),
        )


def _section(
    grid: Grid, results: Mapping[str, Result], machines: Machines, *, again: bool, out: Path, stem: str
) -> Section:
    """Tell of a grid; of one whose runs stand above, ``again``, only what more attacks say of them."""
    there = [results[run.id] for run in grid.runs() if run.id in results]
    found = [comparison for comparison in comparisons([grid], results) if comparison.known]
    plots = {}
    for dataset in grid.datasets if not again and len(grid.variants) <= DRAWN else ():
        own = [comparison for comparison in found if comparison.dataset == dataset]
        path = out / "plots" / f"{stem}-{Path(dataset).name}.svg"
        if own and (link := _link(curve_plot(own, path), out)):
            plots[dataset] = link
    return Section(
        grid,
        runs=len(list(grid.runs())),
        begun=len(there),
        done=sum(set(grid.attacks) <= result.under.keys() for result in there),
        plots=plots,
        frontier=_link(frontier_plot(found, out / "plots" / f"{stem}-frontier.svg"), out),
        comparisons=[
            (comparison, tables(comparison, machines) + ([] if again else side_tables(comparison, machines)))
            for comparison in found
        ],
    )


def _link(path: Path | None, out: Path) -> str:
    return path.relative_to(out).as_posix() if path else ""
