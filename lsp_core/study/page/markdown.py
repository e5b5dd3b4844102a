"""The tables of a grid in Markdown: what is right, which neighbours are kept, what it costs."""

from __future__ import annotations

import statistics
from collections.abc import Collection

from lsp_core.radius import show_eps
from lsp_core.study.lead import CLEAN
from lsp_core.study.page.cells import accuracy, ahead, arrow, head, line, only, plain
from lsp_core.study.page.machines import Machines
from lsp_core.study.summary import Row, Table

METRICS = ("trustworthiness", "continuity", "knn_overlap")
LONG = 1.0  # seconds of an epoch; a ratio of shorter ones says nothing


def accuracy_lines(table: Table, seeds: Collection[int], machines: Machines) -> list[str]:
    """Write what each variant gets right; [] if nothing was attacked.

    Args:
        table: what is known.
        seeds: those that the grid asks for.
        machines: those of the preset.
    """
    rows = [row for row in table.rows if row.measured]
    titles = [next(score.attack for row in rows for score in row.scores(name).values()) for name in table.attacks]
    lines = head("variant", "seeds", "n", "clean", *titles)
    for row in rows:
        measured = row.scores(CLEAN)
        count = f"{len(measured)} of {len(seeds)}" if len(measured) < len(seeds) else str(len(measured))
        sizes = ", ".join(map(str, sorted({score.n for own in row.measured for score in own.scores.values()})))
        cells = [_name(row, table, machines), count, sizes, accuracy(measured.values(), clean=True)]
        for name in table.attacks:
            notes = [only(scores, measured)] if (scores := row.scores(name)) else []
            cells.append(", ".join(filter(None, [accuracy(scores.values()), *notes])))
        lines.append(line(cells))
    return lines if rows else []


def difference_lines(table: Table, seeds: Collection[int], machines: Machines) -> list[str]:
    """Write by how much each variant is ahead of the first, and of the control; [] if there are not two.

    Args:
        table: what is known.
        seeds: those that the grid asks for.
        machines: those of the preset.
    """
    rows = [row for row in table.rows if row.measured]
    others = [row for row in rows if row.variant in (table.first, table.control)]
    clean = ((row, (CLEAN,), "clean") for row in others if row.variant == table.first)
    compared = [*clean, *((row, table.attacks, "attacked") for row in others)]
    titles = [f"{what} vs. {row.variant}" for row, _, what in compared]
    lines = ["Differences, in points:", "", *head("variant", *titles)]
    for row in rows:
        leads = [row.lead(other, attacks) if row is not other else None for other, attacks, _ in compared]
        cells = [ahead(lead, seeds) for lead in leads]
        if any(cells):
            lines.append(line([_name(row, table, machines), *cells]))
    return lines if len(lines) > 4 else []


def neighbor_lines(table: Table, machines: Machines) -> list[str]:
    """Write how well each variant keeps neighbourhoods, means over seeds; [] if that was not measured."""
    lines = _neighbor_lines(table, machines, "neighbors", "Neighbourhoods in the embedding")
    directions = _neighbor_lines(table, machines, "directions", "Neighbourhoods of its directions, at unit length")
    return [*lines, "", *directions] if lines and directions else lines + directions


def cost_lines(table: Table, machines: Machines) -> list[str]:
    """Write what each variant costs, and which epoch was best; [] if nothing was trained."""
    trained = [row for row in table.rows if _seconds(row)]
    ratios = {row.variant: _ratio(row, table.row(table.first)) for row in trained}
    compared = [f"times {table.first}"] if any(ratio for name, ratio in ratios.items() if name != table.first) else []
    last = [outcome.last for outcome in table.outcomes if outcome.last]
    final = [f"last epoch, {last[0].attack}"] if last else []
    lines = head("variant", "seconds per epoch", *compared, "best epoch", *final)
    for row in trained:
        seconds = statistics.median(_seconds(row))
        epochs = ", ".join(str(outcome.epoch) for outcome in row.outcomes.values() if outcome.epoch)
        total = sorted({outcome.epochs for outcome in row.outcomes.values() if outcome.epochs})
        cells = [_name(row, table, machines), f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2f}"]
        cells += [ratios[row.variant]] if compared else []
        cells.append(f"{epochs} of {' or '.join(map(str, total))}")
        cells += [accuracy([own.last for own in row.outcomes.values() if own.last])] if final else []
        lines.append(line(cells))
    return lines if trained else []


def _name(row: Row, table: Table, machines: Machines) -> str:
    """Write the variant, with its radius where the table has several, and its machine where the preset has."""
    radii = " and ".join(dict.fromkeys(show_eps(outcome.eps) for outcome in row.outcomes.values()))
    name = f"{row.variant} (eps {radii})" if len(table.radii) > 1 else row.variant
    return name + machines.mark(outcome.machine for outcome in row.outcomes.values())


def _neighbor_lines(table: Table, machines: Machines, which: str, title: str) -> list[str]:
    known = {
        row.variant: [near for own in row.outcomes.values() if (near := getattr(own, which))] for row in table.rows
    }
    every = [seen for found in known.values() for seen in found]
    if not every:
        return []
    sizes = " and ".join(sorted({f"k = {seen.k} on {seen.n} test images" for seen in every}))
    titles = ("variant", "seeds", "trustworthiness", "continuity", "k-NN overlap", "kept")
    lines = [f"{title}, {sizes}:", "", *head(*titles)]
    for row in table.rows:
        if found := known[row.variant]:
            pairs = [arrow([getattr(seen, metric) for seen in found]) for metric in METRICS]
            kept = plain(seen.kept for seen in found)
            lines.append(line([_name(row, table, machines), str(len(found)), *pairs, kept]))
    return lines


def _ratio(row: Row, first: Row | None) -> str:
    """Write how many times the first variant's seconds a row takes, if one machine made both and they are long."""
    base = _seconds(first) if first else []
    if first is None or not base or statistics.median(base) < LONG:
        return ""
    there = {outcome.machine.what for part in (row, first) for outcome in part.outcomes.values()}
    return f"{statistics.median(_seconds(row)) / statistics.median(base):.2f}" if len(there) == 1 else ""


def _seconds(row: Row) -> list[float]:
    return [outcome.seconds for outcome in row.outcomes.values() if outcome.seconds is not None]
