"""Evaluations to Altair charts; nothing here draws on a page."""

from __future__ import annotations

import altair as alt
import pandas as pd

from app.figures.naming import attack_name, short_name
from app.figures.pairs import difference
from app.state.shelf import trained_eps
from lsp_core import Card
from lsp_core.radius import show_eps
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.types import Record

BASELINE, LSP = "#D0702F", "#3D8BD4"  # mid-tones that stand out on white and on black
DASHES = ([1, 0], [6, 4], [2, 2], [8, 3, 2, 3], [1, 4])
OBJECTIVE_DASHES = dict(zip(OBJECTIVES, DASHES, strict=False))


def accuracy_table(records: dict[str, list[Record]], cards: dict[str, Card]) -> pd.DataFrame:
    """Return one row per evaluation, baselines before their twins."""
    table = pd.DataFrame(
        [
            {
                "checkpoint": name,
                "objective": cards[name].objective,
                "training": "LSP" if cards[name].lsp else "baseline",
                **_row(entry),
            }
            for name, entries in records.items()
            for entry in entries
        ]
    )
    table["short"] = _told_apart(table)
    place = table["objective"].map(list(OBJECTIVES).index)
    ordered = table.assign(place=place).sort_values(["place", "checkpoint", "eps"], ignore_index=True)
    return ordered.drop(columns="place")


def _row(entry: Record) -> Record:
    name, kind = attack_name(entry), str(entry["attack"])
    bits = entry.get("robust_correct")
    return {
        "dataset": entry["dataset"],
        "split": entry.get("split"),
        "kind": kind,
        "attack": name,
        "short": short_name(kind, name),
        "norm": entry["norm"],
        "eps": float(entry["eps"]),
        "clean": float(entry["clean_accuracy"]),
        "robust": float(entry["robust_accuracy"]),
        "low": float(entry["robust_interval"][0]),
        "high": float(entry["robust_interval"][1]),
        "clean_low": float(entry["clean_interval"][0]),
        "clean_high": float(entry["clean_interval"][1]),
        "n": int(entry["n"]),
        "seed": entry["seed"] if isinstance(entry.get("seed"), int) else None,
        "bits": bits if isinstance(bits, str) else "",
    }


def _told_apart(table: pd.DataFrame) -> pd.Series:
    """Give ensembles that are not the same, but have the same short name, letters."""
    shorts = table["short"].copy()
    ensembles = table[table["kind"] == "Ensemble"]
    for short, names in ensembles.groupby("short")["attack"].unique().items():
        for letter, name in zip("abcdefghijklmnopqrstuvwxyz", sorted(names) if len(names) > 1 else (), strict=False):
            shorts[(table["kind"] == "Ensemble") & (table["attack"] == name)] = f"{short} ({letter})"
    return shorts


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
    base = alt.Chart(table.drop(columns="bits")).encode(
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


def twins(table: pd.DataFrame, cards: dict[str, Card]) -> list[tuple[str, str]]:
    """Return the names of each baseline and its LSP twin, where the table has both."""
    there = list(table["checkpoint"].unique())
    return [
        (name, cards[name].twin)
        for name in there
        if not cards[name].lsp and cards[name].twin in there and cards[name].is_twin_of(cards[cards[name].twin])
    ]


def twin_sentence(table: pd.DataFrame, cards: dict[str, Card]) -> list[str]:
    """Say for each pair of twins what LSP changes, at the measured radius nearest to what they were trained for."""
    sentences = []
    for name, twin in twins(table, cards):
        both = table[table["checkpoint"].isin([name, twin])]
        shared = set(both[both["checkpoint"] == name]["eps"]) & set(both[both["checkpoint"] == twin]["eps"])
        if not shared:
            continue
        goal = trained_eps(cards[name])
        eps = min(shared, key=lambda radius: abs(radius - goal))
        at = largest(both[both["eps"] == eps]).set_index("checkpoint", drop=False)
        lead = difference(at.loc[twin], at.loc[name])
        sure = ""
        if lead.interval and at.loc[name, "n"] == at.loc[twin, "n"]:
            low, high = lead.interval
            sure = f"; paired 95 %: {100 * low:+.1f} to {100 * high:+.1f}"
        sentences.append(
            f"**{cards[name].objective}** at {show_eps(eps)}: the baseline keeps {at.loc[name, 'robust']:.1%}, "
            f"LSP **{at.loc[twin, 'robust']:.1%}** "
            f"({100 * (at.loc[twin, 'robust'] - at.loc[name, 'robust']):+.1f} points{sure})."
        )
    return sentences
