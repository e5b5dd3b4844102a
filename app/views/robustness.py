"""Robust accuracy of every checkpoint that has been evaluated: what stronger attacks leave of it, and against eps."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from app.figures.curves import accuracy_chart, accuracy_table, largest, twin_sentence, with_clean
from app.figures.protocol import beneath, protocol
from app.figures.referee import ladders
from app.panels.checklist import checklist
from app.panels.ladder import draw_ladder
from app.state.audits import Audited
from app.state.shelf import audits, catalogue, evaluations
from lsp_core import Card
from lsp_core.radius import show_eps

COLUMNS = ["checkpoint", "attack", "eps", "clean", "robust", "interval", "n", "seed"]
ORDER = ("PGD", "Ensemble", "AutoAttack")


def main() -> None:
    """Draw the verdict of the referee, the curves of one attack, and the table behind them."""
    cards, _ = catalogue()
    records, problems = evaluations()
    audited, complaints = audits()
    for problem in [*problems, *complaints]:
        st.warning(problem)
    records = {name: entries for name, entries in records.items() if name in cards and entries}
    if not records:
        st.info(
            "No checkpoint has been evaluated: "
            "`python -m lsp_core evaluate checkpoints/NAME.safetensors --json checkpoints/NAME.json` does it."
        )
        st.stop()
    st.title("How much accuracy survives the attack?", anchor=False)
    table = choose_dataset(accuracy_table(records, cards))
    shown = draw_referee(table, cards, audited)
    draw_audits([name for name in table["checkpoint"].unique() if name not in shown], cards, audited)
    st.subheader("Accuracy against the radius", anchor=False)
    chosen = choose_attack(table)
    for sentence in twin_sentence(chosen, cards):
        st.markdown(sentence)
    with st.container(key="curves"):
        st.altair_chart(accuracy_chart(with_clean(largest(chosen))), width="stretch")
    st.caption(protocol(chosen, table))
    draw_table(chosen)


def choose_dataset(table: pd.DataFrame) -> pd.DataFrame:
    """Draw the choice of data set; return its rows."""
    datasets = sorted(table["dataset"].unique(), key=lambda name: (name != "digits", name))
    dataset = st.segmented_control("Data set", datasets, key="dataset", default=datasets[0], required=True)
    return table[table["dataset"] == dataset]


def choose_attack(table: pd.DataFrame) -> pd.DataFrame:
    """Draw the choice of attack and norm; return its rows."""
    threat = table["short"] + ", " + table["norm"]
    rank = {kind: place for place, kind in enumerate(ORDER)}
    options = pd.DataFrame({"threat": threat, "place": table["kind"].map(rank).fillna(len(ORDER))})
    counted = options.groupby("threat").agg(place=("place", "min"), count=("place", "size")).reset_index()
    names = counted.sort_values(["place", "count", "threat"], ascending=[True, False, True])["threat"].tolist()
    key = f"threat-{table['dataset'].iloc[0]}"
    return table[threat == st.segmented_control("Attack", names, key=key, default=names[0], required=True)]


def draw_referee(table: pd.DataFrame, cards: dict[str, Card], audited: dict[str, Audited]) -> set[str]:
    """Draw what stronger attacks leave of PGD's figures; return the checkpoints that were shown."""
    found = ladders(table, cards)
    if not found:
        return set()
    st.subheader("Does PGD's figure survive a stronger attack?", anchor=False)
    drawn = "".join(draw_ladder(ladder, audited) for ladder in found)
    with st.container(key="referee"):
        st.markdown(f'<div class="pair wide">{drawn}</div>', unsafe_allow_html=True)
    st.caption(beneath(found))
    return {name for ladder in found for name in ladder.names}


def draw_audits(names: list[str], cards: dict[str, Card], audited: dict[str, Audited]) -> None:
    """Draw the audits of checkpoints that have one."""
    there = [name for name in names if name in audited]
    if not there:
        return
    st.subheader("Do attacks fail for another reason?", anchor=False)
    drawn = ""
    for name in there:
        mark = '<span class="chip lsp">LSP</span>' if cards[name].lsp else '<span class="chip">baseline</span>'
        drawn += f'<div class="card">{checklist(audited[name], f"<b>{escape(name)}</b>{mark}")}</div>'
    with st.container(key="audits"):
        st.markdown(f'<div class="pair wide">{drawn}</div>', unsafe_allow_html=True)


def draw_table(table: pd.DataFrame) -> None:
    """Draw the figures; a transferred attack under the name of its source."""
    named = table["attack"].where(table["kind"] == "Transfer", table["short"])
    shown = table.assign(
        attack=named,
        eps=table["eps"].map(show_eps),
        interval=[f"{low:.1%} to {high:.1%}" for low, high in zip(table["low"], table["high"], strict=True)],
        clean=table["clean"].map("{:.1%}".format),
        robust=table["robust"].map("{:.1%}".format),
    )
    st.dataframe(shown[COLUMNS].drop_duplicates(), hide_index=True, key="figures")


main()
