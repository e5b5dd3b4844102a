"""What a training saw at the end of each epoch, as Altair charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from app.figures.chart import inks
from app.figures.summary import Summary, history

FACES = {"clean_accuracy": "clean", "robust_accuracy": "robust"}
HEIGHT = 340


def training_charts(found: Sequence[Summary]) -> list[alt.Chart]:
    """Draw one or two trainings: the held-out accuracies, and the loss; none if no card says anything of its epochs.

    The colour tells the checkpoints apart; a dashed line is the accuracy without an attack.
    """
    points = [{"checkpoint": one.name, **epoch} for one in found for epoch in history(one.card)]
    if not points:
        return []
    shares = [
        {"checkpoint": point["checkpoint"], "epoch": point["epoch"], "share": point[key], "held out": face}
        for point in points
        for key, face in FACES.items()
    ]
    colour = (
        alt.Color("checkpoint:N")
        .scale(domain=[one.name for one in found], range=inks([one.card for one in found]))
        .title(None)
        .legend(orient="bottom", direction="vertical", labelLimit=420)
    )
    epoch = alt.X("epoch:Q").axis(tickMinStep=1, grid=False).title("epoch")
    dash = alt.StrokeDash("held out:N").scale(domain=list(FACES.values()), range=[[5, 4], [1, 0]])
    share = alt.Y("share:Q").axis(format="%").scale(domain=[0, 1]).title("accuracy on held-out images")
    loss = alt.Y("loss:Q").scale(zero=True).title("training loss")
    told = ["checkpoint:N", "epoch:Q"]
    accuracies = _lines(shares).encode(
        epoch, share, colour, dash.legend(orient="bottom").title(None), detail="checkpoint:N"
    )
    losses = _lines(points).encode(epoch, loss, colour)
    return [
        accuracies.encode(tooltip=[*told, "held out:N", alt.Tooltip("share:Q", format=".1%")]),
        losses.encode(tooltip=[*told, alt.Tooltip("loss:Q", format=".3g"), alt.Tooltip("lsp:Q", format=".3g")]),
    ]


def _lines(values: Sequence[dict[str, Any]]) -> alt.Chart:
    lines: alt.Chart = alt.Chart(alt.Data(values=list(values))).mark_line(strokeWidth=2).properties(height=HEIGHT)
    return lines
