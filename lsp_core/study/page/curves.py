"""Accuracy against eps: lines of PGD, and points of the attacks that are evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_core.study.page.canvas import HEIGHT, WIDTH, available, colours, save, span
from lsp_core.study.score import Score
from lsp_core.study.spread import Spread
from lsp_core.study.summary import Row, Table
from lsp_core.types import Record

DASHES = ([1, 0], [7, 3], [2, 2], [8, 3, 2, 3])
SHAPES = {"fast": "M-.8,-.8L.8,.8M-.8,.8L.8,-.8", "autoattack": "circle"}  # both are seen where they meet


def curve_plot(tables: Sequence[Table], path: Path) -> Path | None:
    """Draw the tables of one data set, an objective a panel.

    Returns:
        ``path``; None if nothing was measured that it could show, or nothing is there that could draw it.
    """
    panels = [(table, _lines(table), _points(table)) for table in tables]
    panels = [panel for panel in panels if panel[1] or panel[2]]
    if not panels or not available():
        return None
    names = list(dict.fromkeys(row.variant for table, _, _ in panels for row in table.rows))
    lines = [row for _, own, _ in panels for row in own]
    points = [row for _, _, own in panels for row in own]
    about = [f"Lines: {_what(lines)}; bands: from the lowest seed to the highest."] if lines else []
    about += [f"Points: {_what(points)}."] if points else []
    title = f"{tables[0].dataset}: accuracy against eps"
    return save([_panel(*panel, names) for panel in panels], title, [*about, "Grey: eps, the radius of the row."], path)


def _lines(table: Table) -> list[Record]:
    """Return accuracy by variant and radius, over the seeds; without attack it is the point at radius 0."""
    found = []
    for row in table.rows:
        by_eps: dict[float, list[float]] = defaultdict(list)
        curves = [outcome.curve for outcome in row.outcomes.values() if outcome.curve]
        for curve in curves:
            by_eps[0.0].append(curve[0].clean)
            for score in curve:
                by_eps[round(score.eps, 9)].append(score.robust)
        found += [_mean(row, curves[0][0], eps, values) for eps, values in sorted(by_eps.items())]
    return found


def _points(table: Table) -> list[Record]:
    scores = [(name, row, list(row.scores(name).values())) for row in table.rows for name in SHAPES]
    return [
        {"name": name, **_mean(row, found[0], found[0].eps, [score.robust for score in found])}
        for name, row, found in scores
        if found
    ]


def _mean(row: Row, score: Score, eps: float, values: Sequence[float]) -> Record:
    where = {"variant": row.variant, "attack": score.attack, "n": score.n, "eps": eps, "seeds": len(values)}
    return {**where, "accuracy": Spread(tuple(values)).mean, "low": min(values), "high": max(values)}


def _what(rows: Sequence[Record]) -> str:
    """Say what was run on how many images and seeds."""
    attacks = " and ".join(dict.fromkeys(row["attack"] for row in rows))
    sizes, seeds = ([row[key] for row in rows] for key in ("n", "seeds"))
    trained = f"mean of {span(seeds)} seeds" if max(seeds) > 1 else "one seed"
    return f"{attacks} on {span(sizes)} test images, {trained}"


def _panel(table: Table, lines: list[Record], points: list[Record], names: list[str]) -> Any:
    import altair as alt

    dashes = [DASHES[place % len(DASHES)] for place in range(len(names))]
    colour = (
        alt.Color("variant:N")
        .scale(domain=names, range=colours(names))
        .title("trained")
        .legend(symbolType="stroke", symbolSize=400)
    )
    dash = alt.StrokeDash("variant:N").scale(domain=names, range=dashes).title("trained")
    x = alt.X("eps:Q").title("eps (Linf, pixel units)").axis(tickCount=6).scale(nice=False, zero=True)
    y = alt.Y("accuracy:Q").title("right before and under attack").axis(format="%").scale(domain=[0, 1])
    radii = alt.Data(values=[{"eps": eps} for eps in sorted({outcome.eps for outcome in table.outcomes})])
    layers: list[Any] = [alt.Chart(radii).mark_rule(color="#999", strokeWidth=1.5).encode(x=x)]
    if lines:
        base = alt.Chart(alt.Data(values=lines)).encode(x=x, color=colour)
        layers.append(base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q").title(""), y2="high:Q"))
        layers.append(base.mark_line(strokeWidth=2.5).encode(y=y, strokeDash=dash))
    if points:
        there = {row["name"]: row["attack"] for row in points}
        forms = [SHAPES[name] for name in there]
        shape = alt.Shape("attack:N").scale(domain=list(there.values()), range=forms).title("attack")
        marks = alt.Chart(alt.Data(values=points)).mark_point(size=90, filled=False, strokeWidth=2.2, opacity=1)
        layers.append(marks.encode(x=x, y=y, color=colour, shape=shape))
    title = f"{table.objective}, eps {' and '.join(table.radii)}"
    return alt.layer(*layers).properties(title=title, width=WIDTH, height=HEIGHT)
