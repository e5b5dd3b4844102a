"""Evaluations to Altair charts; nothing here draws on a page."""

from __future__ import annotations

import altair as alt
import pandas as pd

from lsp_core.types import Record

BASELINE, LSP = "#B4531A", "#1F6FB5"
OBJECTIVE_DASHES = {"standard": [1, 0], "pgd-at": [6, 4]}


def accuracy_table(records: dict[str, list[Record]], about: dict[str, tuple[str, bool]]) -> pd.DataFrame:
    """Return one row per evaluation; ``about`` tells each checkpoint's objective and whether it was trained with LSP."""
    rows = []
    for name, entries in records.items():
        objective, lsp = about[name]
        for entry in entries:
            low, high = entry["robust_interval"]
            rows.append(
                {
                    "checkpoint": name,
                    "objective": objective,
                    "training": "LSP" if lsp else "baseline",
                    "attack": attack_name(entry),
                    "norm": entry["norm"],
                    "eps": float(entry["eps"]),
                    "clean": float(entry["clean_accuracy"]),
                    "robust": float(entry["robust_accuracy"]),
                    "low": float(low),
                    "high": float(high),
                    "n": int(entry["n"]),
                    "seed": entry.get("seed"),
                }
            )
    return pd.DataFrame(rows)


def attack_name(entry: Record) -> str:
    """Return what people call the attack: its name, and its steps where it takes several."""
    steps = entry.get("settings", {}).get("steps")
    return f"{entry['attack']}-{steps}" if steps else str(entry["attack"])


def with_clean(table: pd.DataFrame) -> pd.DataFrame:
    """Add the clean accuracy of each checkpoint as its point at eps 0, without an interval of its own."""
    first = table.groupby("checkpoint", as_index=False).first()
    clean = first.assign(eps=0.0, robust=first["clean"], low=first["clean"], high=first["clean"])
    return pd.concat([clean, table], ignore_index=True).sort_values(["checkpoint", "eps"])


def accuracy_chart(table: pd.DataFrame) -> alt.LayerChart:
    """Draw robust accuracy against eps: colour tells LSP from baseline, the dash the objective, the band the interval."""
    objectives = sorted(table["objective"].unique(), key=lambda name: (name != "standard", name))
    colour = alt.Color("training:N").scale(domain=["baseline", "LSP"], range=[BASELINE, LSP]).title("trained")
    dash = (
        alt.StrokeDash("objective:N")
        .scale(domain=objectives, range=[OBJECTIVE_DASHES.get(name, [2, 2]) for name in objectives])
        .title("objective")
    )
    base = alt.Chart(table).encode(
        x=alt.X("eps:Q").title("radius eps (pixel units)").scale(nice=False),
        color=colour,
        detail="checkpoint:N",
    )
    tips = [
        alt.Tooltip("checkpoint"),
        alt.Tooltip("attack"),
        alt.Tooltip("eps", format=".4f"),
        alt.Tooltip("robust", title="accuracy", format=".1%"),
        alt.Tooltip("low", title="from", format=".1%"),
        alt.Tooltip("high", title="to", format=".1%"),
        alt.Tooltip("n"),
    ]
    accuracy = alt.Y("robust:Q").title("robust accuracy").axis(format="%").scale(domain=[0, 1])
    band = base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q").title("robust accuracy"), y2="high:Q")
    line = base.mark_line(strokeWidth=2.5).encode(y=accuracy, strokeDash=dash)
    point = base.mark_point(filled=True, size=55, opacity=1).encode(
        y=accuracy, shape=alt.Shape("training:N").scale(domain=["baseline", "LSP"], range=["square", "circle"]).title("trained"), tooltip=tips
    )
    return (band + line + point).properties(height=420)
