"""Robust accuracy against the radius, as an Altair chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from app.figures.measured import Measured, objectives
from lsp_core import Card
from lsp_core.training.objectives import OBJECTIVES

BASELINE, LSP = "#D0702F", "#3D8BD4"  # mid-tones that stand out on white and on black
DASHES = ([1, 0], [6, 4], [2, 2], [8, 3, 2, 3], [1, 4], [12, 4], [8, 3, 2, 3, 2, 3], [4, 2, 1, 2])


def accuracy_chart(found: Sequence[Measured]) -> alt.LayerChart:
    """Draw the records of one attack: colour is LSP or baseline, the dash the objective, the band the interval."""
    names = objectives(found)
    colour = (
        alt.Color("training:N")
        .scale(domain=["baseline", "LSP"], range=[BASELINE, LSP])
        .legend(symbolOpacity=1)
        .title("trained")
    )
    dash = alt.StrokeDash("objective:N").scale(domain=names, range=dashes(names)).title("objective")
    base = alt.Chart(alt.Data(values=points(found))).encode(
        x=alt.X("eps:Q").title("radius eps (pixel units)").scale(nice=False),
        color=colour,
        detail="checkpoint:N",
    )
    tips = [
        alt.Tooltip("checkpoint:N"),
        alt.Tooltip("attack:N"),
        alt.Tooltip("eps:Q", format=".4f"),
        alt.Tooltip("robust:Q", title="accuracy", format=".1%"),
        alt.Tooltip("low:Q", title="from", format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("n:Q"),
    ]
    accuracy = alt.Y("robust:Q").title("robust accuracy").axis(format="%").scale(domain=[0, 1])
    band = base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q").title("robust accuracy"), y2="high:Q")
    line = base.mark_line(strokeWidth=2.5).encode(y=accuracy, strokeDash=dash)
    point = base.mark_point(filled=True, size=55, opacity=1).encode(
        y=accuracy,
        shape=alt.Shape("training:N").scale(domain=["baseline", "LSP"], range=["square", "circle"]).title("trained"),
        tooltip=tips,
    )
    chart: alt.LayerChart = (band + line + point).properties(height=420)
    return chart


def inks(cards: Sequence[Card]) -> list[str]:
    """Return a colour for each of one or two checkpoints: that of its training, or in turn where both have the same."""
    own = [BASELINE if card.lsp is None else LSP for card in cards]
    return own if len(set(own)) == len(own) else [BASELINE, LSP][: len(own)]


def dashes(names: Sequence[str]) -> list[list[int]]:
    """Return a dash for each objective: that of its place among all of them, from the first again where they end."""
    known = [*OBJECTIVES, *(name for name in names if name not in OBJECTIVES)]
    return [DASHES[known.index(name) % len(DASHES)] for name in names]


def points(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return what the chart draws; the clean accuracy of a checkpoint, with its interval, is its point at eps 0."""
    drawn: list[dict[str, Any]] = []
    for one in sorted(found, key=lambda one: (one.checkpoint, one.entry.eps)):
        entry = one.entry
        about = {"checkpoint": one.checkpoint, "objective": one.card.objective, "training": one.training}
        told = {**about, "attack": entry.label, "n": entry.n}
        if all(point["checkpoint"] != one.checkpoint for point in drawn):
            drawn.append({**told, "eps": 0.0, **_shares(entry.clean_accuracy, entry.clean_interval)})
        drawn.append({**told, "eps": entry.eps, **_shares(entry.robust_accuracy, entry.robust_interval)})
    return drawn


def _shares(share: float, interval: tuple[float, float]) -> dict[str, float]:
    return {"robust": share, "low": interval[0], "high": interval[1]}
