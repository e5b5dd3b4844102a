"""The tables of a comparison: what is right, which neighbours are kept, what it costs."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import NamedTuple

from lsp_core.radius import show_eps
from lsp_core.study.comparison import Comparison, Variant
from lsp_core.study.lead import CLEAN, called
from lsp_core.study.page.cells import accuracy, ahead, arrow, only, plain, share_ahead
from lsp_core.study.page.machines import Machines
from lsp_core.study.preservation import FIGURES, Preservation
from lsp_core.study.result import Result

LONG = 1.0  # seconds of an epoch; a ratio of shorter ones says nothing
METRICS = {"trustworthiness": "trustworthiness", "continuity": "continuity", "knn_overlap": "k-NN overlap"}


class MarkdownTable(NamedTuple):
    """What a table says: a row of titles, rows of cells, and what stands above it."""

    titles: list[str]
    rows: list[list[str]]
    about: str = ""


def tables(comparison: Comparison, machines: Machines) -> list[MarkdownTable]:
    """Return what each variant gets right and by how much it is ahead, as far as any was attacked."""
    return [table for table in (_accuracies(comparison, machines), _differences(comparison, machines)) if table.rows]


def side_tables(comparison: Comparison, machines: Machines) -> list[MarkdownTable]:
    """Return how well each variant keeps neighbourhoods, and what it costs, as far as that is known."""
    embedding, directions = "Neighbourhoods in the embedding", "Neighbourhoods of its directions, at unit length"
    found = (
        _neighbors(comparison, machines, embedding, lambda result: result.preservation),
        _neighbor_differences(comparison, machines, unit_length=False),
        _neighbors(comparison, machines, directions, lambda result: result.directions),
        _neighbor_differences(comparison, machines, unit_length=True),
        _costs(comparison, machines),
    )
    return [table for table in found if table.rows]


def _accuracies(comparison: Comparison, machines: Machines) -> MarkdownTable:
    variants = comparison.attacked
    entries = {name: [each for own in variants for each in own.under(name).values()] for name in comparison.attacks}
    names = [name for name, found in entries.items() if found]
    titles = ["variant", "seeds", "n", "clean", *(called(entries[name][0]) for name in names)]
    rows = []
    for variant in variants:
        clean, seeds = variant.under(CLEAN), comparison.seeds
        count = f"{len(clean)} of {len(seeds)}" if len(clean) < len(seeds) else str(len(clean))
        sizes = sorted({entry.n for result in variant.attacked for entry in result.evaluations})
        cells = [_name(variant, comparison, machines), count, ", ".join(map(str, sizes))]
        cells.append(accuracy(clean.values(), clean=True))
        for found in (variant.under(name) for name in names):
            cells.append(", ".join(filter(None, [accuracy(found.values()), only(found, clean) if found else ""])))
        rows.append(cells)
    return MarkdownTable(titles, rows)


def _differences(comparison: Comparison, machines: Machines) -> MarkdownTable:
    """Compare each variant with the first, and with the controls."""
    names = [variant.name for variant in comparison.attacked]
    others = [name for name in names if name in (comparison.first, *comparison.controls)]
    clean = [comparison.first] if comparison.first in names else []
    titles = ["variant", *(f"clean vs. {name}" for name in clean), *(f"attacked vs. {name}" for name in others)]
    rows = []
    for variant in comparison.attacked:
        leads = [variant.lead(comparison.variants[name], CLEAN) if variant.name != name else None for name in clean]
        leads += [comparison.lead(variant.name, name) if variant.name != name else None for name in others]
        if any(leads):
            cells = [ahead(lead, comparison.seeds) for lead in leads]
            rows.append([_name(variant, comparison, machines), *cells])
    return MarkdownTable(titles, rows, "Differences, in points:")


def _neighbors(
    comparison: Comparison, machines: Machines, title: str, part: Callable[[Result], Preservation | None]
) -> MarkdownTable:
    rows, sizes = [], set()
    for variant in comparison.known:
        if found := [near for result in variant.results.values() if (near := part(result))]:
            pairs = [
                arrow([(getattr(near.clean, metric), getattr(near.adversarial, metric)) for near in found])
                for metric in METRICS
            ]
            kept = plain(near.kept for near in found)
            rows.append([_name(variant, comparison, machines), str(len(found)), *pairs, kept])
            sizes |= {f"k = {near.k} on {near.n} test images" for near in found}
    titles = ["variant", "seeds", *METRICS.values(), "kept"]
    return MarkdownTable(titles, rows, f"{title}, {' and '.join(sorted(sizes))}:")


def _neighbor_differences(comparison: Comparison, machines: Machines, *, unit_length: bool) -> MarkdownTable:
    """Compare the neighbourhoods of each variant with those of the first, image by image."""
    rows, first = [], comparison.variants[comparison.first]
    for variant in (each for each in comparison.known if each.name != first.name):
        leads = [variant.neighbors_lead(first, figure, unit_length=unit_length) for figure in FIGURES]
        if any(leads):
            cells = [share_ahead(lead, comparison.seeds) if lead else "" for lead in leads]
            rows.append([_name(variant, comparison, machines), *cells])
    return MarkdownTable(["variant", *FIGURES.values()], rows, f"Differences to {first.name}, paired:")


def _costs(comparison: Comparison, machines: Machines) -> MarkdownTable:
    trained = [variant for variant in comparison.known if _seconds(variant)]
    ratios = {variant.name: _ratio(variant, comparison.variants[comparison.first]) for variant in trained}
    compared = any(ratio for name, ratio in ratios.items() if name != comparison.first)
    last = [result.last for result in comparison.results if result.last]
    titles = ["variant", "seconds per epoch", *([f"times {comparison.first}"] if compared else []), "best epoch"]
    titles += [f"last epoch, {called(last[0])}"] if last else []
    rows = []
    for variant in trained:
        seconds = statistics.median(_seconds(variant))
        trainings = [result.training for result in variant.results.values() if result.training]
        epochs = ", ".join(str(training.epoch) for training in trainings)
        total = " or ".join(map(str, sorted({training.epochs for training in trainings})))
        cells = [_name(variant, comparison, machines), f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2f}"]
        cells += [*([ratios[variant.name]] if compared else []), f"{epochs} of {total}"]
        cells += [accuracy([result.last for result in variant.results.values() if result.last])] if last else []
        rows.append(cells)
    return MarkdownTable(titles, rows)


def _name(variant: Variant, comparison: Comparison, machines: Machines) -> str:
    """Write the variant, with its radius where the table has several, and its machine where the preset has."""
    radii = " and ".join(dict.fromkeys(show_eps(result.eps) for result in variant.results.values()))
    name = f"{variant.name} (eps {radii})" if len(comparison.radii) > 1 else variant.name
    return name + machines.mark(result.machine for result in variant.results.values())


def _ratio(variant: Variant, first: Variant) -> str:
    """Write how many times the first variant's seconds a row takes, if one machine made both and they are long."""
    base = _seconds(first)
    if not base or statistics.median(base) < LONG:
        return ""
    there = {result.machine.name for part in (variant, first) for result in part.results.values()}
    return f"{statistics.median(_seconds(variant)) / statistics.median(base):.2f}" if len(there) == 1 else ""


def _seconds(variant: Variant) -> list[float]:
    return [result.training.seconds_per_epoch for result in variant.results.values() if result.training]
