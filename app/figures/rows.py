"""The figures behind a chart, as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from app.figures.measured import Measured
from app.figures.naming import JOINT
from lsp_core.radius import show_eps

Row = dict[str, str | int | None]


def rows(found: Sequence[Measured]) -> list[Row]:
    """Return a row an evaluation; a sequence of attacks under its short name, any other under its label."""
    made: list[Row] = []
    for one in found:
        entry = one.entry
        low, high = entry.robust_interval
        row: Row = {
            "checkpoint": one.checkpoint,
            "attack": one.short if JOINT in entry.label else entry.label,
            "eps": show_eps(entry.eps),
            "clean": f"{entry.clean_accuracy:.1%}",
            "robust": f"{entry.robust_accuracy:.1%}",
            "interval": f"{low:.1%} to {high:.1%}",
            "n": entry.n,
            "seed": entry.seed,
        }
        if row not in made:
            made.append(row)
    return made
