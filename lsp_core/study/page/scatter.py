"""Robust accuracy against the neighbours that are kept: does the one come with the other?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lsp_core.study.agenda import crafted_by
from lsp_core.study.comparison import Comparison
from lsp_core.study.lead import called, is_evidence, strongest_first
from lsp_core.study.page.canvas import COLOURS, available, colours, save, span
from lsp_core.study.page.cells import counted
from lsp_core.study.result import Result
from lsp_core.types import Record

OTHER = "other variant"
FEWEST = 5  # runs, below which a correlation says nothing
WIDTH, HEIGHT, COLUMNS = 230, 190, 3


def scatter_plot(comparisons: Sequence[Comparison], path: Path) -> Path | None:
    """Draw the runs of all comparisons, a point each and a data set with an objective a panel.

    Returns:
        ``path``; None if nothing was measured that it could show, or nothing is there that could draw it.
    """
    runs: dict[str, dict[str, Result]] = {}
    for own in comparisons:
        runs.setdefault(f"{own.dataset}, {own.objective}", {}).update({result.id: result for result in own.results})
    panels = {title: points for title, results in runs.items() if (points := _points(results.values()))}
    if not panels or not available():
        return None
    every = [point["kind"] for points in panels.values() for point in points]
    kinds = [kind for kind in (*COLOURS, OTHER) if kind in every]
    charts = [_panel(title, points, kinds) for title, points in panels.items()]
    about = [
        "A point is a run; every attack has the radius of its row. Right: accuracy before and under the attack.",
        f"Kept: neighbours in the embedding, at unit length, that an image still has under {crafted_by()}.",
    ]
    return save(charts, "Robust accuracy against the neighbours that are kept", about, path, COLUMNS)


def correlation(points: Sequence[Record]) -> float | None:
    """Return Spearman's rank correlation of ``kept`` and ``accuracy``.

    None if there are too few points, or all are the same in one of them.
    """
    from scipy.stats import spearmanr

    kept, accuracy = ([point[key] for point in points] for key in ("kept", "accuracy"))
    if len(points) < FEWEST or len(set(kept)) == 1 or len(set(accuracy)) == 1:
        return None
    return float(spearmanr(kept, accuracy).statistic)


def _points(results: Iterable[Result]) -> list[Record]:
    """Return a point per run that has been through the attack that most of them share; evidence comes first."""
    known = [(result, near.kept) for result in results if (near := result.directions)]
    counts = Counter(name for result, _ in known for name in result.under)
    # Of equals the first, which is the strongest.
    attack = max(strongest_first(counts), key=lambda name: (is_evidence(name), counts[name]), default="")
    points = []
    for result, kept in known:
        if entry := result.under.get(attack):
            kind = result.variant if result.variant in COLOURS else OTHER
            where = {"kind": kind, "attack": called(entry), "n": entry.n}
            points.append({**where, "kept": kept, "accuracy": entry.robust_accuracy})
    return points


def _panel(title: str, points: Sequence[Record], kinds: Sequence[str]) -> Any:
    import altair as alt

    found, runs = correlation(points), counted(len(points), "run")
    below = [
        f"{points[0]['attack']}, n = {span([point['n'] for point in points])}",
        runs if found is None else f"Spearman {found:+.2f}, {runs}",
    ]
    x, y = (_domain([point[key] for point in points]) for key in ("kept", "accuracy"))
    across = alt.X("kept:Q").title("kept").axis(format=".0%", tickCount=5).scale(domain=x, nice=False)
    up = alt.Y("accuracy:Q").title("right").axis(format=".1~%", tickCount=5).scale(domain=y, nice=False)
    colour = alt.Color("kind:N").scale(domain=kinds, range=colours(kinds)).title("trained")
    titles = alt.TitleParams(title, subtitle=below)
    chart = alt.Chart(alt.Data(values=points), title=titles, width=WIDTH, height=HEIGHT)
    marks = chart.mark_point(filled=True, size=70, opacity=0.8, stroke="white", strokeWidth=0.6)
    return marks.encode(x=across, y=up, color=colour)


def _domain(values: Sequence[float]) -> list[float]:
    """Return an axis with some room at both ends, which never leaves [0,1]."""
    low, high = min(values), max(values)
    room = max(0.02, 0.08 * (high - low))
    return [max(0.0, low - room), min(1.0, high + room)]
