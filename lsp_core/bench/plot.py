"""How cost grows, drawn: time and memory against size, both on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_core.bench.growth import AXES
from lsp_core.bench.timing import Measurement
from lsp_core.study.page.canvas import available, save
from lsp_core.types import Record

SECONDS, EXPECTED, MEGABYTES = "seconds", "expected", "MB at the peak"
COLOURS = {SECONDS: "#3D8BD4", EXPECTED: "#999999", MEGABYTES: "#D0702F"}
DASHES = {SECONDS: [1, 0], EXPECTED: [4, 3], MEGABYTES: [1, 0]}
WIDTH, HEIGHT = 300, 200


def growth_plot(rows: Sequence[Measurement], path: Path) -> Path | None:
    """Draw the rows of the part ``growth``, an axis a panel.

    Returns:
        ``path``; None if there are none, or nothing is there that could draw them.
    """
    by_axis: dict[str, list[Measurement]] = {}
    for row in rows:
        if row.part == "growth":
            by_axis.setdefault(row.figures["axis"], []).append(row)
    panels = {name: own for name, own in by_axis.items() if len(own) > 1}
    if not panels or not available():
        return None
    about = ["Dashed: what the smallest size leads one to expect. Memory: beyond what was there before; at least 1 MB."]
    return save([_panel(name, own) for name, own in panels.items()], "How the cost grows", about, path)


def _panel(name: str, rows: Sequence[Measurement]) -> Any:
    import altair as alt

    axis = AXES[name]
    points = [point for row in rows for point in _points(row)]
    sizes = [row.figures["size"] for row in rows]
    seen = [what for what in COLOURS if any(point["what"] == what for point in points)]
    scale = alt.Scale(domain=seen, range=[COLOURS[what] for what in seen])
    base = alt.Chart(alt.Data(values=points), title=f"{axis.work} against {axis.of}", width=WIDTH, height=HEIGHT)
    x = alt.X("size:Q").title(axis.of).scale(type="log", nice=False).axis(values=sizes, format="d")
    y = alt.Y("value:Q").title("seconds, or MB").scale(type="log")
    colour = alt.Color("what:N").scale(scale).title(None)
    dash = alt.StrokeDash("what:N").scale(domain=seen, range=[DASHES[what] for what in seen]).title(None)
    lines = base.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour, strokeDash=dash)
    return lines + base.mark_point(filled=True, size=45, opacity=1).encode(x=x, y=y, color=colour)


def _points(row: Measurement) -> list[Record]:
    values = {SECONDS: row.ours.median, EXPECTED: row.theirs.median}
    if row.figures["peak_bytes"] is not None:
        values[MEGABYTES] = max(1.0, row.figures["peak_bytes"] / 2**20)
    return [{"size": row.figures["size"], "what": what, "value": value} for what, value in values.items()]
