"""Robust accuracy of every checkpoint that has been evaluated: what stronger attacks leave of it, and against eps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.figures.chart import accuracy_chart
from app.figures.lead import twin_sentences
from app.figures.measured import Measured, largest, measured
from app.figures.naming import role_of
from app.figures.protocol import protocol
from app.figures.referee import ROLES, ladders
from app.figures.rows import rows
from app.figures.summary import Summary, summaries
from app.figures.text import plain, sentence
from app.panels.audits import draw_audits
from app.panels.choice import choose_checkpoints
from app.panels.ladder import draw_ladders
from app.panels.measured.orders import draw_orders
from app.panels.measured.pairwise import draw_pairwise
from app.panels.measured.report import offer_report
from app.panels.take import take_away
from app.state.shelf import audits, catalogue, evaluations, folders
from lsp_core import Card
from lsp_core.attacks.table import rank
from lsp_core.audit import Audited


def main() -> None:
    """Draw the ruling of the referee, the curves of one attack, the table behind them, and two side by side."""
    cards, _ = catalogue()
    records, problems = evaluations()
    audited, complaints = audits()
    st.title("How much accuracy survives the attack?", anchor=False)
    for problem in [*problems, *complaints]:
        st.warning(sentence(problem))
    found = measured({name: entries for name, entries in records.items() if name in cards}, cards)
    if not found:
        st.info(
            "No checkpoint has been evaluated: "
            "`python -m lsp_core evaluate checkpoints/NAME.safetensors --json checkpoints/NAME.json` does it."
        )
    else:
        draw_figures(choose_subset(choose_dataset(found), summaries(cards, records, audited)), cards, audited)
    if cards:
        draw_orders(folders(), cards, records, audited)


def draw_figures(whole: Sequence[Measured], cards: Mapping[str, Card], audited: Mapping[str, Audited]) -> None:
    """Draw what stands in the records of one data set."""
    if not whole:
        return
    climbed = ladders(whole)
    if climbed:
        st.subheader("Does a quick attack's figure survive a stronger one?", anchor=False)
        draw_ladders(climbed, audited)
    shown = {name for ladder in climbed for name in ladder.names}
    draw_audits([name for name in dict.fromkeys(one.checkpoint for one in whole) if name not in shown], cards, audited)
    st.subheader("Accuracy against the radius", anchor=False)
    chosen = choose_attack(whole)
    for said in twin_sentences(chosen):
        st.markdown(said)
    draw_curves(chosen)
    st.caption(protocol(chosen, whole))
    st.dataframe(rows(chosen), hide_index=True, key="figures")
    take_away("figures", rows=rows(chosen))
    offer_report(chosen, whole, audited)
    draw_pairwise(chosen)


def draw_curves(chosen: Sequence[Measured]) -> None:
    """Draw accuracy against the radius."""
    chart = accuracy_chart(largest(chosen))
    with st.container(key="curves"):
        st.altair_chart(chart, width="stretch")
    take_away("curves", chart)


def choose_subset(whole: Sequence[Measured], found: Sequence[Summary]) -> list[Measured]:
    """Draw the table of the checkpoints that have records; return the records of those chosen, of all if none is."""
    names = {one.checkpoint for one in whole}
    shown, chosen = choose_checkpoints([one for one in found if one.name in names], "robustness")
    if shown and not chosen:
        st.caption("Choose some by their first cells to see these alone; what follows is of all that are listed.")
    wanted = {one.name for one in chosen or shown}
    return [one for one in whole if one.checkpoint in wanted]


def choose_dataset(found: Sequence[Measured]) -> list[Measured]:
    """Draw the choice of data set; return its records."""
    datasets = sorted({one.entry.dataset for one in found}, key=lambda name: (name != "digits", name))
    dataset = st.segmented_control(
        "Data set", datasets, format_func=plain, key="dataset", default=datasets[0], required=True
    )
    return [one for one in found if one.entry.dataset == dataset]


def choose_attack(whole: Sequence[Measured]) -> list[Measured]:
    """Draw the choice of attack and norm; return its records.

    First stands one attack a role, that with the most figures; then come the others.
    """
    threats: dict[str, list[Measured]] = {}
    for one in whole:
        threats.setdefault(f"{one.short}, {one.entry.norm}", []).append(one)

    def role(threat: str) -> int:
        found = role_of(threats[threat][0].entry.name)
        return ROLES.index(found) if found in ROLES else len(ROLES)

    names = sorted(threats, key=lambda name: (-len(threats[name]), -rank(threats[name][0].entry.name), name))
    first = {role(name): name for name in reversed(names)}
    names.sort(key=lambda name: (first[role(name)] != name, role(name)))
    key = f"threat-{whole[0].entry.dataset}"
    return threats[st.segmented_control("Attack", names, format_func=plain, key=key, default=names[0], required=True)]


main()
