"""Accuracy class by class, before and under an attack."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
from numpy.typing import NDArray

from app.figures.chart import inks
from app.figures.measured import Measured
from app.figures.summary import percent
from lsp_core.evaluation.intervals import wilson_interval

MOST = 20  # classes of one chart
HEIGHT = 340
Row = dict[str, str | int | float]


def by_class(one: Measured, labels: NDArray[np.int64], classes: Sequence[str]) -> list[Row]:
    """Return a row for each class that there are images of; accuracies in percent, with the Wilson interval.

    Args:
        one: the evaluation.
        labels: (n,) of its images, in their order.
        classes: names by label.
    """
    rows: list[Row] = []
    for label, name in enumerate(classes):
        own = labels == label
        n = int(own.sum())
        if n == 0:
            continue
        clean, robust = (int(right[own].sum()) for right in (one.entry.clean_right, one.entry.robust_right))
        low, high = wilson_interval(robust, n)
        rows.append(
            {
                "checkpoint": one.checkpoint,
                "class": name,
                "clean": percent(clean / n),
                "robust": percent(robust / n),
                "from": percent(low),
                "to": percent(high),
                "n": n,
            }
        )
    return rows


def class_chart(rows: Sequence[Row], pair: Sequence[Measured]) -> alt.LayerChart:
    """Draw clean accuracy as a faint bar and what is left under the attack as a full one, a pair of bars a class.

    Of many classes those are drawn of which least is left, of either.
    """
    least: dict[str, float] = {}
    for row in rows:
        name = str(row["class"])
        least[name] = min(float(row["robust"]), least.get(name, 100.0))
    shown = sorted(least, key=lambda name: least[name])[:MOST]
    names = [one.checkpoint for one in pair]
    drawn = [row for row in rows if row["class"] in shown]
    order = list(dict.fromkeys(str(row["class"]) for row in drawn))
    base = alt.Chart(alt.Data(values=drawn)).encode(
        x=alt.X("class:N", sort=order).axis(labelAngle=0 if len(order) <= MOST // 2 else -40, title=None),
        xOffset=alt.XOffset("checkpoint:N", sort=names).scale(domain=names),
        color=alt.Color("checkpoint:N")
        .scale(domain=names, range=inks([one.card for one in pair]))
        .title(None)
        .legend(orient="bottom", direction="vertical", labelLimit=420, symbolOpacity=1),
        tooltip=["checkpoint:N", "class:N", "clean:Q", "robust:Q", "from:Q", "to:Q", "n:Q"],
    )
    share = alt.Y("clean:Q").scale(domain=[0, 100]).title("right, % (faint: before the attack)")
    clean = base.mark_bar(opacity=0.3).encode(y=share)
    robust = base.mark_bar().encode(y=alt.Y("robust:Q").title(None))
    sure = base.mark_rule(color="#7A7F87", strokeWidth=1.5).encode(
        y=alt.Y("from:Q").title(None), y2="to:Q", color=alt.value("#7A7F87")
    )
    chart: alt.LayerChart = (clean + robust + sure).properties(height=HEIGHT)
    return chart
