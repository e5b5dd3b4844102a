"""Which images two models hold under one attack: both, one of them, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from app.figures.chart import inks
from app.figures.measured import Measured
from app.figures.pairs import Difference, difference
from app.figures.summary import percent

BOTH, NONE = "#17834B", "#7A7F87"
HEIGHT, THICK = 190, 30
ROOM = 0.05  # share of the bar that a number needs


@dataclass(frozen=True)
class Standing:
    """How many of the ``n`` images that both saw are right before and under the attack.

    Attributes:
        parts: by who holds them: both, only the first, only the second, none.
        lead: the second's accuracy minus the first's.
    """

    names: tuple[str, str]
    parts: tuple[int, int, int, int]
    lead: Difference

    @property
    def n(self) -> int:
        """How many images both saw."""
        return sum(self.parts)

    @property
    def told(self) -> tuple[str, str, str, str]:
        """What the parts are called."""
        return "both hold", f"only {self.names[0]}", f"only {self.names[1]}", "none holds"

    @property
    def rows(self) -> list[dict[str, str | int | float]]:
        """A row a part, with its share in percent."""
        return [
            {"who": who, "images": count, "share": percent(count / self.n)}
            for who, count in zip(self.told, self.parts, strict=True)
        ]


def standing(first: Measured, second: Measured) -> Standing | None:
    """Count who holds which images; None if the two did not see the same."""
    lead = difference(second.entry, first.entry)
    if lead.n == 0:
        return None
    a, b = (one.entry.robust_right[: lead.n] for one in (first, second))
    parts = [int(np.count_nonzero(part)) for part in (a & b, a & ~b, ~a & b, ~a & ~b)]
    return Standing((first.checkpoint, second.checkpoint), (parts[0], parts[1], parts[2], parts[3]), lead)


def standing_chart(found: Standing, pair: tuple[Measured, Measured]) -> alt.LayerChart:
    """Draw the four parts as one bar, which the legend names with their counts."""
    bars: list[dict[str, Any]] = []
    start = 0
    for who, count in zip(found.told, found.parts, strict=True):
        share = f"{100 * count / found.n:.1f} %" if count >= ROOM * found.n else ""
        place = {"start": start, "end": start + count, "middle": start + count / 2}
        bars.append({"part": f"{who}: {count} of {found.n}", "share": share, **place})
        start += count
    colour = (
        alt.Color("part:N")
        .scale(domain=[bar["part"] for bar in bars], range=[BOTH, *inks([one.card for one in pair]), NONE])
        .title(None)
        .legend(orient="bottom", direction="vertical", labelLimit=420, symbolType="square")
    )
    base = alt.Chart(alt.Data(values=bars))
    axis = alt.Axis(tickMinStep=1, tickCount=6, grid=False, offset=6)
    bar = base.mark_bar(height=THICK).encode(
        x=alt.X("start:Q", axis=axis).scale(domain=[0, found.n], nice=False).title("test images"),
        x2="end:Q",
        color=colour,
        tooltip=["part:N", "share:N"],
    )
    text = base.mark_text(color="white", fontWeight=600).encode(x="middle:Q", text="share:N")
    chart: alt.LayerChart = (bar + text).properties(height=HEIGHT)
    return chart
