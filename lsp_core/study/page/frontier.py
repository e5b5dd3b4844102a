"""Robust accuracy against the neighbours kept, as a line over the weights of the neighbours' part."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_core.lsp.lsp import LSP, NONE
from lsp_core.study.agenda import crafted_by
from lsp_core.study.comparison import BASELINE, TWIN, Comparison, Variant
from lsp_core.study.lead import Spread, called, is_evidence, strongest_first
from lsp_core.study.page.canvas import COLOURS, HEIGHT, WIDTH, available, save, span
from lsp_core.types import Record

FEWEST = 3  # weights, that a line has a shape


def frontier_plot(comparisons: Sequence[Comparison], path: Path) -> Path | None:
    """Draw a line through the variants of each comparison that differ in the neighbours' weight alone.

    Returns:
        ``path``; None if no comparison has three such variants, or nothing is there that could draw it.
    """
    panels = [(comparison, points) for comparison in comparisons if (points := frontier(comparison))]
    if not panels or not available():
        return None
    every = [point for _, points in panels for point in points]
    about = [
        "Numbers: the weight of the neighbours' part beside the ball's; bars: from the lowest seed to the highest.",
        f"Right before and under {' and '.join(dict.fromkeys(point['attack'] for point in every))}, "
        f"n = {span([point['n'] for point in every])}.",
        f"Kept: neighbours in the embedding, at unit length, that an image still has under {crafted_by()}.",
    ]
    charts = [_panel(comparison, points) for comparison, points in panels]
    return save(charts, "As the neighbours' weight grows", about, path)


def frontier(comparison: Comparison) -> list[Record]:
    """Return a point for each weight of the neighbours' part, from the least, and one for the baseline.

    The variants are those that are LSP but for that weight; the ball alone is a weight of 0. Empty if they are fewer
    than three, or the baseline is not among the variants.
    """
    whole = _lsp(comparison.variants[TWIN]) if TWIN in comparison.variants else None
    if whole is None or BASELINE not in comparison.variants:
        return []
    every = {name: _weight(own, whole) for name, own in comparison.variants.items()}
    weights = {name: weight for name, weight in every.items() if weight is not None}
    order = (*sorted(weights, key=lambda name: weights[name]), BASELINE)
    for attack in filter(is_evidence, strongest_first(comparison.attacks)):
        there = (_point(comparison.variants[name], attack, weights.get(name)) for name in order)
        points = [point for point in there if point]
        if len(points) > FEWEST and points[-1]["weight"] is None:
            return points
    return []


def _lsp(variant: Variant) -> LSP | None:
    record = next((result.config.get("lsp") for result in variant.results.values()), None)
    return LSP.from_record(record) if record else None


def _weight(variant: Variant, whole: LSP) -> float | None:
    """Return the neighbours' weight of a variant, None if it differs from LSP in anything else."""
    own = _lsp(variant)
    if own is None:
        return None
    weight = 0.0 if own.neighbors == NONE else own.neighbors_weight
    alike = dataclasses.replace(own, neighbors=whole.neighbors, neighbors_weight=whole.neighbors_weight, k=whole.k)
    return weight if alike == whole else None


def _point(variant: Variant, attack: str, weight: float | None) -> Record | None:
    """Return the means over the seeds that have been through the attack and have their neighbourhoods measured."""
    pairs = [
        (entry, result.directions.kept)
        for seed, entry in variant.under(attack).items()
        if (result := variant.results[seed]).directions
    ]
    if not pairs:
        return None
    right, kept = [entry.robust_accuracy for entry, _ in pairs], [share for _, share in pairs]
    return {
        "trained": BASELINE if weight is None else TWIN,
        "weight": weight,
        "name": variant.name if weight is None else f"{weight:g}",
        "attack": called(pairs[0][0]),
        "n": pairs[0][0].n,
        "accuracy": Spread(tuple(right)).mean,
        "low": min(right),
        "high": max(right),
        "kept": Spread(tuple(kept)).mean,
    }


def _panel(comparison: Comparison, points: list[Record]) -> Any:
    import altair as alt

    colour = alt.Color("trained:N").scale(domain=list(COLOURS), range=list(COLOURS.values())).legend(None)
    x = alt.X("kept:Q").title("neighbours kept").axis(format="%", tickCount=5).scale(zero=False, padding=24)
    y = alt.Y("accuracy:Q").title("right under attack").axis(format="%", tickCount=5).scale(zero=False, padding=24)
    base = alt.Chart(alt.Data(values=points)).encode(x=x)
    line = base.transform_filter("datum.weight !== null").mark_line(color=COLOURS[TWIN], strokeWidth=2)
    layers = [
        line.encode(y=y, order="weight:Q"),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q").title("right under attack"), y2="high:Q", color=colour),
        base.mark_point(filled=True, size=80, opacity=1).encode(y=y, color=colour),
        base.mark_text(dx=8, dy=-9, align="left", fontSize=12, color="#222").encode(y=y, text="name:N"),
    ]
    title = f"{comparison.dataset}, {comparison.objective}, eps {' and '.join(comparison.radii)}"
    return alt.layer(*layers).properties(title=title, width=WIDTH, height=HEIGHT)
