"""The tables of a study's page in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from lsp_core.radius import show_eps
from lsp_core.study.summary import Lead, Row, Spread, Table

METRICS = ("trustworthiness", "continuity", "knn_overlap")


def accuracy_lines(table: Table, seeds: int) -> list[str]:
    """Write what each variant gets right, and by how much it is ahead of the first; [] if nothing was attacked.

    Args:
        table: what is known.
        seeds: how many the grid asks for.
    """
    rows = [row for row in table.rows if any(outcome.scores for outcome in row.outcomes.values())]
    titles = [next(score.attack for row in rows for score in row.scores(name)) for name in table.attacks]
    compared = [f"against {table.first}, in points"] if len(table.rows) > 1 and table.baseline else []
    lines = _head("variant", "seeds", "n", "clean", *titles, *compared)
    for row in rows:
        measured = [outcome for outcome in row.outcomes.values() if outcome.scores]
        first = [next(iter(outcome.scores.values())) for outcome in measured]
        count = str(len(measured)) if len(measured) == seeds else f"{len(measured)} of {seeds}"
        sizes = ", ".join(map(str, sorted({score.n for outcome in measured for score in outcome.scores.values()})))
        cells = [_name(row, table), count, sizes, _percent([(score.clean, score.clean_interval) for score in first])]
        for name in table.attacks:
            found = [(score.robust, score.interval) for score in row.scores(name)]
            cells.append(_percent(found) + _fewer(len(found), len(measured)))
        if compared and table.baseline:
            lead = row.lead(table.baseline, table.attacks) if row.variant != table.first else None
            cells.append(_ahead(lead, len(measured)))
        lines.append(_line(cells))
    return lines if rows else []


def neighbor_lines(table: Table) -> list[str]:
    """Write how well each variant keeps neighbourhoods, means over seeds; [] if that was not measured."""
    lines = _neighbor_lines(table, "neighbors", "Neighbourhoods in the embedding")
    directions = _neighbor_lines(table, "directions", "Neighbourhoods of its directions, at unit length")
    return [*lines, "", *directions] if lines and directions else lines + directions


def _neighbor_lines(table: Table, which: str, title: str) -> list[str]:
    known = {
        row.variant: [near for own in row.outcomes.values() if (near := getattr(own, which))] for row in table.rows
    }
    every = [seen for found in known.values() for seen in found]
    if not every:
        return []
    sizes = " and ".join(sorted({f"k = {seen.k} on {seen.n} test images" for seen in every}))
    lines = [
        f"{title}, {sizes}:",
        "",
        *_head("variant", "seeds", "trustworthiness", "continuity", "k-NN overlap", "kept"),
    ]
    for row in table.rows:
        if found := known[row.variant]:
            pairs = [_arrow([getattr(seen, metric) for seen in found]) for metric in METRICS]
            kept = Spread(tuple(seen.kept for seen in found))
            lines.append(_line([_name(row, table), str(len(found)), *pairs, _plain(kept)]))
    return lines


def cost_lines(table: Table) -> list[str]:
    """Write what each variant costs, and which epoch was best; [] if nothing was trained."""
    base = _seconds(table.baseline) if table.baseline else []
    comparable = base and len(table.rows) > 1 and len(_places(table)) == 1
    compared = [f"times {table.first}"] if comparable else []
    last = [outcome.last for outcome in table.outcomes if outcome.last]
    final = [f"last epoch, {last[0].attack}"] if last else []
    lines = _head("variant", "seconds per epoch", *compared, "best epoch", *final)
    for row in table.rows:
        if not (seconds := _seconds(row)):
            continue
        epochs = ", ".join(str(outcome.epoch) for outcome in row.outcomes.values() if outcome.epoch)
        total = sorted({outcome.epochs for outcome in row.outcomes.values() if outcome.epochs})
        cells = [_name(row, table), _time(statistics.median(seconds))]
        cells += [f"{statistics.median(seconds) / statistics.median(base):.2f}"] if compared else []
        cells.append(f"{epochs} of {' or '.join(map(str, total))}")
        ends = [outcome.last for outcome in row.outcomes.values() if outcome.last]
        cells += [_percent([(score.robust, score.interval) for score in ends])] if final else []
        lines.append(_line(cells))
    return lines if len(lines) > 2 else []


def _name(row: Row, table: Table) -> str:
    """Write the variant, with its radius where the table has several."""
    radii = " and ".join(dict.fromkeys(show_eps(outcome.eps) for outcome in row.outcomes.values()))
    return f"{row.variant} (eps {radii})" if len(table.radii) > 1 else row.variant


def _percent(found: Sequence[tuple[float, tuple[float, float]]]) -> str:
    """Write accuracies with their intervals as mean ± sd; a single one with its interval."""
    if not found:
        return ""
    spread = Spread(tuple(100 * value for value, _ in found))
    if spread.sd is not None:
        return f"{spread.mean:.1f} ± {spread.sd:.1f}"
    low, high = found[0][1]
    return f"{spread.mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _fewer(count: int, seeds: int) -> str:
    """Say of how many seeds a figure is, where it is not of all that the row has."""
    return f", {count} seed{'s' if count > 1 else ''}" if 0 < count < seeds else ""


def _ahead(lead: Lead | None, seeds: int) -> str:
    if lead is None:
        return ""
    low, high = (_points(bound) for bound in lead.interval)
    spread = "" if lead.gained.sd is None else f" ± {100 * lead.gained.sd:.1f}"
    fewer = _fewer(len(lead.gained.values), seeds)
    return f"{_points(lead.gained.mean)}{spread} ({low} to {high}), {lead.attack}{fewer}"


def _points(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"  # + 0.0 makes -0.0 a plain 0.0


def _arrow(pairs: Sequence[tuple[float, float]]) -> str:
    clean, attacked = (statistics.fmean(side) for side in zip(*pairs, strict=True))
    return f"{clean:.3f} → {attacked:.3f}"


def _plain(spread: Spread) -> str:
    return f"{spread.mean:.3f}" + ("" if spread.sd is None else f" ± {spread.sd:.3f}")


def _seconds(row: Row | None) -> list[float]:
    return [outcome.seconds for outcome in row.outcomes.values() if outcome.seconds is not None] if row else []


def _time(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2f}"


def _places(table: Table) -> set[tuple[str, ...]]:
    """Return what the trainings ran on: times on different machines have no ratio."""
    fields = ("processor", "cores", "threads", "device")
    return {tuple(str(outcome.machine.get(field)) for field in fields) for outcome in table.outcomes}


def _head(*titles: str) -> list[str]:
    return [_line(titles), _line(["---"] * len(titles))]


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"
