"""Accuracy against eps: lines of the curve's attack, and points of the attacks that are evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_core.attacks import ATTACKS
from lsp_core.evaluation.entry import Entry
from lsp_core.study.comparison import Comparison, Variant
from lsp_core.study.lead import Spread, called, is_evidence
from lsp_core.study.page.canvas import HEIGHT, WIDTH, available, colours, save, span
from lsp_core.types import Record

DASHES = ([1, 0], [7, 3], [2, 2], [8, 3, 2, 3])
CROSS = "M-.8,-.8L.8,.8M-.8,.8L.8,-.8"
SHAPES = (CROSS, "circle", "square", "triangle", "diamond")  # of evidence from the weakest; seen where they meet


def curve_plot(comparisons: Sequence[Comparison], path: Path) -> Path | None:
    """Draw the comparisons of one data set, an objective a panel.

    Returns:
        ``path``; None if nothing was measured that it could show, or nothing is there that could draw it.
    """
    panels = [(comparison, _lines(comparison), _points(comparison)) for comparison in comparisons]
    panels = [panel for panel in panels if panel[1] or panel[2]]
    if not panels or not available():
        return None
    names = list(dict.fromkeys(variant.name for comparison, _, _ in panels for variant in comparison.known))
    lines = [row for _, own, _ in panels for row in own]
    points = [row for _, _, own in panels for row in own]
    about = [f"Lines: {_what(lines)}; bands: from the lowest seed to the highest."] if lines else []
    about += [f"Points: {_what(points)}."] if points else []
    title = f"{comparisons[0].dataset}: accuracy against eps"
    return save([_panel(*panel, names) for panel in panels], title, [*about, "Grey: eps, the radius of the row."], path)


def _lines(comparison: Comparison) -> list[Record]:
    """Return accuracy by variant and radius, over the seeds; without attack it is the point at radius 0."""
    found = []
    for variant in comparison.known:
        by_eps: dict[float, list[float]] = defaultdict(list)
        curves = [result.curve for result in variant.results.values() if result.curve]
        for curve in curves:
            by_eps[0.0].append(curve[0].clean_accuracy)
            for entry in curve:
                by_eps[round(entry.eps, 9)].append(entry.robust_accuracy)
        found += [_mean(variant, curves[0][0], eps, values) for eps, values in sorted(by_eps.items())]
    return found


def _points(comparison: Comparison) -> list[Record]:
    evidence = [name for name in ATTACKS if is_evidence(name)]
    found = [(name, variant, list(variant.under(name).values())) for variant in comparison.known for name in evidence]
    return [
        {
            "shape": SHAPES[evidence.index(name) % len(SHAPES)],
            **_mean(variant, entries[0], entries[0].eps, [entry.robust_accuracy for entry in entries]),
        }
        for name, variant, entries in found
        if entries
    ]


def _mean(variant: Variant, entry: Entry, eps: float, values: Sequence[float]) -> Record:
    where = {"variant": variant.name, "attack": called(entry), "n": entry.n, "eps": eps, "seeds": len(values)}
    return {**where, "accuracy": Spread(tuple(values)).mean, "low": min(values), "high": max(values)}


def _what(rows: Sequence[Record]) -> str:
    """Say what was run on how many images and seeds."""
    attacks = " and ".join(dict.fromkeys(row["attack"] for row in rows))
    sizes, seeds = ([row[key] for row in rows] for key in ("n", "seeds"))
    trained = f"mean of {span(seeds)} seeds" if max(seeds) > 1 else "one seed"
    return f"{attacks} on {span(sizes)} test images, {trained}"


def _panel(comparison: Comparison, lines: list[Record], points: list[Record], names: list[str]) -> Any:
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
    radii = alt.Data(values=[{"eps": eps} for eps in sorted({result.eps for result in comparison.results})])
    layers: list[Any] = [alt.Chart(radii).mark_rule(color="#999", strokeWidth=1.5).encode(x=x)]
    if lines:
        base = alt.Chart(alt.Data(values=lines)).encode(x=x, color=colour)
        layers.append(base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q").title(""), y2="high:Q"))
        layers.append(base.mark_line(strokeWidth=2.5).encode(y=y, strokeDash=dash))
    if points:
        shapes = {row["attack"]: row["shape"] for row in points}
        shape = alt.Shape("attack:N").scale(domain=list(shapes), range=list(shapes.values())).title("attack")
        marks = alt.Chart(alt.Data(values=points)).mark_point(size=90, filled=False, strokeWidth=2.2, opacity=1)
        layers.append(marks.encode(x=x, y=y, color=colour, shape=shape))
    title = f"{comparison.objective}, eps {' and '.join(comparison.radii)}"
    return alt.layer(*layers).properties(title=title, width=WIDTH, height=HEIGHT)
