"""Evaluations to Altair charts; nothing here draws on a page."""

from __future__ import annotations

import altair as alt
import pandas as pd

from app.cache import trained_eps
from lsp_core import Card
from lsp_core.objectives import OBJECTIVES
from lsp_core.radius import show_eps
from lsp_core.types import Record

BASELINE, LSP = "#D0702F", "#3D8BD4"  # mid-tones that stand out on white and on black
DASHES = ([1, 0], [6, 4], [2, 2], [8, 3, 2, 3], [1, 4])
USUAL = {"loss": "ce", "restarts": 1, "alpha": None, "targeted": False, "random_start": True}
OBJECTIVE_DASHES = dict(zip(OBJECTIVES, DASHES, strict=False))


def accuracy_table(records: dict[str, list[Record]], cards: dict[str, Card]) -> pd.DataFrame:
    """Return one row per evaluation, baselines before their twins."""
    rows = []
    for name, entries in records.items():
        for entry in entries:
            low, high = entry["robust_interval"]
            rows.append(
                {
                    "checkpoint": name,
                    "dataset": entry["dataset"],
                    "objective": cards[name].objective,
                    "training": "LSP" if cards[name].lsp else "baseline",
                    "attack": attack_name(entry),
                    "norm": entry["norm"],
                    "eps": float(entry["eps"]),
                    "clean": float(entry["clean_accuracy"]),
                    "robust": float(entry["robust_accuracy"]),
                    "low": float(low),
                    "high": float(high),
                    "clean_low": float(entry["clean_interval"][0]),
                    "clean_high": float(entry["clean_interval"][1]),
                    "n": int(entry["n"]),
                    "seed": entry["seed"] if isinstance(entry.get("seed"), int) else None,
                }
            )
    table = pd.DataFrame(rows)
    place = table["objective"].map(list(OBJECTIVES).index)
    ordered = table.assign(place=place).sort_values(["place", "checkpoint", "eps"], ignore_index=True)
    return ordered.drop(columns="place")


def attack_name(entry: Record) -> str:
    """Return what people call the attack: its name, its steps, and what else is not as usual."""
    settings = entry["settings"] if isinstance(entry.get("settings"), dict) else {}
    parts = [f"{entry['attack']}-{settings['steps']}" if settings.get("steps") else str(entry["attack"])]
    for key, usual in USUAL.items():
        if settings.get(key, usual) != usual:
            parts.append(f"{key} {settings[key]}")
    return " ".join(parts)


def largest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the evaluation on the most images, where a checkpoint was evaluated more than once at one eps."""
    kept = table.sort_values("n", kind="stable").drop_duplicates(["checkpoint", "eps"], keep="last")
    return kept.sort_index()


def with_clean(table: pd.DataFrame) -> pd.DataFrame:
    """Add the clean accuracy of each checkpoint, with its interval, as its point at eps 0."""
    first = table.groupby("checkpoint", as_index=False).first()
    clean = first.assign(eps=0.0, robust=first["clean"], low=first["clean_low"], high=first["clean_high"])
    return pd.concat([clean, table], ignore_index=True).sort_values(["checkpoint", "eps"])


def accuracy_chart(table: pd.DataFrame) -> alt.LayerChart:
    """Draw robust accuracy against eps: colour is LSP or baseline, the dash the objective, the band the interval."""
    objectives = [name for name in OBJECTIVES if name in set(table["objective"])]
    colour = (
        alt.Color("training:N")
        .scale(domain=["baseline", "LSP"], range=[BASELINE, LSP])
        .legend(symbolOpacity=1)
        .title("trained")
    )
    dash = (
        alt.StrokeDash("objective:N")
        .scale(domain=objectives, range=[OBJECTIVE_DASHES[name] for name in objectives])
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
        y=accuracy,
        shape=alt.Shape("training:N").scale(domain=["baseline", "LSP"], range=["square", "circle"]).title("trained"),
        tooltip=tips,
    )
    return (band + line + point).properties(height=420)


def twin_sentence(table: pd.DataFrame, cards: dict[str, Card]) -> list[str]:
    """Say for each pair of twins what LSP changes, at the measured radius nearest to what they were trained for."""
    sentences = []
    for name in table["checkpoint"].unique():
        twin = cards[name].twin
        if cards[name].lsp or twin not in set(table["checkpoint"]) or not cards[name].is_twin_of(cards[twin]):
            continue
        both = table[table["checkpoint"].isin([name, twin])]
        shared = set(both[both["checkpoint"] == name]["eps"]) & set(both[both["checkpoint"] == twin]["eps"])
        if not shared:
            continue
        goal = trained_eps(cards[name])
        eps = min(shared, key=lambda radius: abs(radius - goal))
        at = largest(both[both["eps"] == eps]).set_index("checkpoint")["robust"]
        sentences.append(
            f"**{cards[name].objective}** at {show_eps(eps)}: the baseline keeps {at[name]:.1%}, "
            f"LSP **{at[twin]:.1%}** "
            f"({100 * (at[twin] - at[name]):+.1f} points)."
        )
    return sentences
