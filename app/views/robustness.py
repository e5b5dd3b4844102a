"""Robust accuracy against eps, of every checkpoint that has been evaluated."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.cache import catalogue, evaluations
from app.charts import accuracy_chart, accuracy_table, largest, twin_sentence, with_clean
from lsp_core.radius import show_eps

COLUMNS = ["checkpoint", "attack", "eps", "clean", "robust", "interval", "n", "seed"]


def main() -> None:
    """Draw the curves of one data set and attack, and the table behind them."""
    cards, _ = catalogue()
    records, problems = evaluations()
    for problem in problems:
        st.warning(problem)
    records = {name: entries for name, entries in records.items() if name in cards and entries}
    if not records:
        st.info(
            "No checkpoint has been evaluated: "
            "`python -m lsp_core evaluate checkpoints/NAME.safetensors --json checkpoints/NAME.json` does it."
        )
        st.stop()
    st.title("How much accuracy survives the attack?", anchor=False)
    table = choose(accuracy_table(records, cards))
    for sentence in twin_sentence(table, cards):
        st.markdown(sentence)
    with st.container(key="curves"):
        st.altair_chart(accuracy_chart(with_clean(largest(table))), width="stretch")
    st.caption(protocol(table))
    shown = table.assign(
        eps=table["eps"].map(show_eps),
        interval=[f"{low:.1%} to {high:.1%}" for low, high in zip(table["low"], table["high"], strict=True)],
        clean=table["clean"].map("{:.1%}".format),
        robust=table["robust"].map("{:.1%}".format),
    )
    st.dataframe(shown[COLUMNS], hide_index=True, key="figures")


def choose(table: pd.DataFrame) -> pd.DataFrame:
    """Draw the choice of data set, norm and attack; return the rows of the choice."""
    left, right = st.columns(2)
    datasets = sorted(table["dataset"].unique(), key=lambda name: (name != "digits", name))
    dataset = left.segmented_control("Data set", datasets, key="dataset", default=datasets[0], required=True)
    table = table[table["dataset"] == dataset]
    threats = sorted({f"{attack}, {norm}" for attack, norm in zip(table["attack"], table["norm"], strict=True)})
    threats.sort(key=lambda threat: not threat.startswith("PGD"))
    threat = right.segmented_control("Attack", threats, key=f"threat-{dataset}", default=threats[0], required=True)
    return table[table["attack"] + ", " + table["norm"] == threat]


def protocol(table: pd.DataFrame) -> str:
    """Say how the figures were made and what they are not."""
    counts = " or ".join(str(n) for n in sorted(table["n"].unique()))
    seeds = " or ".join(str(int(seed)) for seed in sorted(table["seed"].dropna().unique()))
    row = table.iloc[0]
    return (
        f"{row['attack']}, {row['norm']}, on {counts} test images of {row['dataset']} (seed {seeds}); bands are "
        "Wilson 95 % intervals; the point at 0 is the clean accuracy. These are upper bounds: a stronger attack may "
        "find more. No AutoAttack figure is shipped yet, and PGD alone is no evidence of robustness."
    )


main()
