"""Robust accuracy against eps, of every checkpoint that has been evaluated."""

from __future__ import annotations

import streamlit as st

from app.cache import catalogue, evaluations
from app.charts import accuracy_chart, accuracy_table, with_clean
from lsp_core.radius import show_eps


def main() -> None:
    """Draw the curves of one data set and attack, and the table behind them."""
    cards, _ = catalogue()
    records, problems = evaluations()
    for problem in problems:
        st.warning(problem)
    records = {name: entries for name, entries in records.items() if name in cards and entries}
    if not records:
        st.info("No checkpoint has been evaluated: `python -m lsp_core evaluate NAME.safetensors --json NAME.json` does it.")
        st.stop()
    st.title("How much robust accuracy is left?", anchor=False)
    table = accuracy_table(records, {name: (cards[name].objective, cards[name].lsp is not None) for name in records})
    table["dataset"] = table["checkpoint"].map({name: cards[name].dataset for name in records})
    left, right = st.columns(2)
    dataset = left.segmented_control(
        "Data set", sorted(table["dataset"].unique(), key=lambda name: (name != "digits", name)), key="dataset", default="digits"
        if "digits" in set(table["dataset"]) else table["dataset"].iloc[0], required=True,
    )
    table = table[table["dataset"] == dataset]
    attacks = sorted(table["attack"].unique(), reverse=True)
    attack = right.segmented_control("Attack", attacks, default=attacks[0], key=f"attack-{dataset}", required=True)
    table = table[(table["attack"] == attack) & (table["norm"] == "Linf")]
    with st.container(key="curves"):
        st.altair_chart(accuracy_chart(with_clean(table)), width="stretch")
    counts, seeds = sorted(table["n"].unique()), sorted(table["seed"].dropna().unique())
    st.caption(
        f"{attack}, Linf, on {' or '.join(map(str, counts))} test images of {dataset} drawn with seed "
        f"{' or '.join(str(int(seed)) for seed in seeds)}; bands are Wilson 95 % intervals; the point at 0 is the clean accuracy. "
        "These are upper bounds: a stronger attack may find more. No AutoAttack figure is shipped yet, and PGD alone is no "
        "evidence of robustness."
    )
    shown = table.assign(
        eps=table["eps"].map(show_eps),
        interval=[f"{low:.1%} to {high:.1%}" for low, high in zip(table["low"], table["high"], strict=True)],
        clean=table["clean"].map("{:.1%}".format),
        robust=table["robust"].map("{:.1%}".format),
    )
    st.dataframe(
        shown[["checkpoint", "attack", "eps", "clean", "robust", "interval", "n", "seed"]], hide_index=True, key="figures"
    )


main()
