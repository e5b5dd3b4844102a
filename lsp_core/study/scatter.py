"""Robust accuracy against the neighbours that are kept: does the one come with the other?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsp_core.study.canvas import COLOURS, HEIGHT, WIDTH, available, colours, save, span
from lsp_core.study.summary import Table, strongest_first
from lsp_core.types import Record

OTHER = "other variant"
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")


def scatter_plot(tables: Sequence[Table], path: Path) -> Path | None:
    """Draw the runs of all tables, a point each and a data set a panel.

    Returns:
        ``path``; None if nothing was measured that it could show, or nothing is there that could draw it.
    """
    datasets = dict.fromkeys(table.dataset for table in tables)
    found = {dataset: _points([table for table in tables if table.dataset == dataset]) for dataset in datasets}
    panels = {dataset: points for dataset, points in found.items() if points}
    if not panels or not available():
        return None
    import altair as alt

    every = [point for points in panels.values() for point in points]
    kinds = [kind for kind in (*COLOURS, OTHER) if any(point["kind"] == kind for point in every)]
    objectives = list(dict.fromkeys(point["objective"] for point in every))
    forms = [SHAPES[place % len(SHAPES)] for place in range(len(objectives))]
    colour = alt.Color("kind:N").scale(domain=kinds, range=colours(kinds)).title("trained")
    shape = alt.Shape("objective:N").scale(domain=objectives, range=forms).title("objective")
    charts = []
    for dataset, points in panels.items():
        x, y = (_domain([point[key] for point in points]) for key in ("kept", "accuracy"))
        chart = alt.Chart(alt.Data(values=points), title=f"{dataset}: {_under(points)}", width=WIDTH, height=HEIGHT)
        marks = chart.mark_point(filled=True, size=80, opacity=0.8, stroke="white", strokeWidth=0.6)
        across = (
            alt.X("kept:Q")
            .title("neighbours kept under PGD-20, at unit length")
            .axis(format=".0%")
            .scale(domain=x, nice=False)
        )
        up = alt.Y("accuracy:Q").title("right before and under attack").axis(format=".1~%").scale(domain=y, nice=False)
        charts.append(marks.encode(x=across, y=up, color=colour, shape=shape))
    about = "A point is a run. Every attack has the radius of the training."
    return save(charts, "Robust accuracy against the neighbours that are kept", [about], path)


def _points(tables: Sequence[Table]) -> list[Record]:
    """Return a point per run that has been through the strongest attack that any of them has been through."""
    outcomes = {outcome.run.id: outcome for table in tables for outcome in table.outcomes}
    known = [(outcome, near.kept) for outcome in outcomes.values() if (near := outcome.directions)]
    attacks = strongest_first(dict.fromkeys(name for outcome, _ in known for name in outcome.scores))
    points = []
    for outcome, kept in known:
        if attacks and (score := outcome.scores.get(attacks[0])):
            kind = outcome.run.variant if outcome.run.variant in COLOURS else OTHER
            where = {"kind": kind, "objective": outcome.run.objective, "attack": score.attack, "n": score.n}
            points.append({**where, "kept": kept, "accuracy": score.robust})
    return points


def _domain(values: Sequence[float]) -> list[float]:
    """Return an axis with some room at both ends, which never leaves [0,1]."""
    low, high = min(values), max(values)
    room = max(0.02, 0.08 * (high - low))
    return [max(0.0, low - room), min(1.0, high + room)]


def _under(points: Sequence[Record]) -> str:
    return f"{points[0]['attack']}, n = {span([point['n'] for point in points])}"
