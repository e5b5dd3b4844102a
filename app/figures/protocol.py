"""The lines under the figures: what was run on what, and what follows from it."""

from __future__ import annotations

import pandas as pd

from app.figures.naming import what_ran
from app.figures.referee import Ladder
from app.panels.controls import plain
from lsp_core.radius import show_eps


def beneath(ladders: list[Ladder]) -> str:
    """Say what the attacks beyond PGD were, and how the rungs are to be read."""
    ran = {
        rung.short: what_ran(rung.kind, row["attack"], rung.short)
        for ladder in ladders
        for rung in ladder.rungs
        for row in rung.rows
        if row is not None and rung.kind != "PGD"
    }
    said = " ".join(f"{plain(words[:1].upper() + words[1:])}." for words in ran.values())
    return (
        f"{said} Bars are Wilson 95 % intervals; thin lines stand where PGD stood. Intervals of differences are "
        "paired, image by image, 95 %. ✓ where AutoAttack's figures lie within PGD's intervals, ! where they do not."
    )


def protocol(table: pd.DataFrame, whole: pd.DataFrame) -> str:
    """Say how the chosen figures were made and what they are not; ``whole`` holds all of the data set."""
    counts = " or ".join(str(n) for n in sorted(table["n"].unique()))
    seeds = " or ".join(str(int(seed)) for seed in sorted(table["seed"].dropna().unique()))
    row = table.iloc[0]
    ran, drawn = plain(what_ran(row["kind"], row["attack"], row["short"])), f" (seed {seeds})" if seeds else ""
    return (
        f"{ran}, {row['norm']}, on {counts} test images of {plain(row['dataset'])}{drawn}; bands are Wilson 95 % "
        "intervals; the point at 0 is the clean accuracy. These are upper bounds: a stronger attack may find more. "
        f"{refereed(table, whole)}"
    )


def refereed(table: pd.DataFrame, whole: pd.DataFrame) -> str:
    """Say what AutoAttack has to do with the figures shown."""
    row, names = table.iloc[0], set(table["checkpoint"])
    if row["kind"] == "AutoAttack":
        return "AutoAttack is the referee here, and not the last word: an attack made for one model may find more."
    judged = whole[(whole["kind"] == "AutoAttack") & (whole["norm"] == row["norm"])]
    judged = judged[judged["checkpoint"].isin(names)]
    if judged.empty:
        alone = "PGD alone is" if row["kind"] == "PGD" else "this is"
        return f"AutoAttack has not been run on these checkpoints, and {alone} no evidence of robustness."
    radii = ", ".join(show_eps(eps) for eps in sorted(judged["eps"].unique()))
    return f"AutoAttack has been run on {judged['checkpoint'].nunique()} of these {len(names)} checkpoints, at {radii}."
