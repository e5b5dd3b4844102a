"""Measure more from the page: an evaluation or an audit is ordered."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from app.figures.cost import costs, lasts
from app.figures.naming import usual_label
from app.figures.text import plain, sentence
from app.panels.measured.line import draw_cut_off, watch
from app.state.measure import Order
from app.state.orders import board
from app.state.shelf import path_of
from lsp_core import Card
from lsp_core.attacks.contract import check_settings
from lsp_core.attacks.norms import NORMS
from lsp_core.attacks.table import ATTACKS, kind
from lsp_core.audit import Audited
from lsp_core.evaluation.entry import Entry
from lsp_core.radius import parse_eps, show_eps

IMAGES, AUDITED, MOST = 1000, 128, 100_000
WORKS = {"evaluation": "Attack", "audit": "Audit (quick form)"}


def draw_orders(
    places: Sequence[Path],
    cards: Mapping[str, Card],
    records: Mapping[str, Sequence[Entry]],
    audited: Mapping[str, Audited],
) -> None:
    """Draw the form, what goes on, and what was cut off, in all folders of checkpoints."""
    st.subheader("Measure more", anchor=False)
    open_ = [place for place in places if os.access(place, os.W_OK)]
    own = {name: card for name, card in cards.items() if path_of(name).parent in open_}
    if not own:
        st.caption(
            f"Nothing can be written in {plain(places[0].name)}/, so no result could be kept: start the app with "
            "LSP_CHECKPOINTS on a folder that can be written."
        )
        return
    with st.container(border=True, key="order"):
        order = choose_order(own, records, audited)
        if st.button("Measure", key="measure", type="primary", disabled=order is None) and order is not None:
            place = path_of(order.checkpoint).parent
            try:
                board(place).place_order(order)
            except OSError as error:
                st.error(sentence(f"Nothing can be written in {place.name}/: {error.strerror}."))
    boards = [board(place) for place in open_]
    watch(boards)
    left = [(one, order) for one in boards for order in one.cut_off() if order.checkpoint in own]
    for number, (orders, order) in enumerate(left):
        draw_cut_off(orders, order, number)


def choose_order(
    cards: Mapping[str, Card], records: Mapping[str, Sequence[Entry]], audited: Mapping[str, Audited]
) -> Order | None:
    """Draw the form; return what it says, None where that cannot be meant."""
    left, middle = st.columns([2, 1])
    name = left.selectbox("Checkpoint", list(cards), key="order-checkpoint")
    works = [work for work in WORKS if work != "audit" or cards[name].gradient]
    if st.session_state.get("order-work") not in works:
        st.session_state["order-work"] = works[0]
    if not cards[name].gradient:
        st.caption(
            f"{plain(name)} has no gradient with respect to the pixels: only attacks that need none, and no audit."
        )
    work = middle.segmented_control("Work", works, format_func=WORKS.__getitem__, key="order-work", required=True)
    card, attack = cards[name], ""
    one, two, three, four = st.columns(4)
    if work == "evaluation":
        choices = [name for name, row in ATTACKS.items() if usual_label(name) and (card.gradient or not row.gradient)]
        if st.session_state.get("order-attack") not in choices:
            st.session_state["order-attack"] = "fast" if card.gradient else choices[-1]
        attack = one.selectbox("Attack", choices, key="order-attack", help=about(choices))
    norm = two.segmented_control("Norm", list(NORMS), key="order-norm", default="Linf", required=True)
    usual = show_eps(card.eps).partition(" ")[0] if norm == "Linf" else ""
    text = three.text_input("Radius eps", usual, key=f"order-eps-{norm}-{usual}", placeholder="0.1 or 8/255")
    count = IMAGES if work == "evaluation" else AUDITED
    n = four.number_input("Test images", 1, MOST, count, key=f"order-n-{work}")
    try:
        eps = parse_eps(text)
        check_settings(eps, norm)
        spent = costs(attack, norm, eps, int(n), records.get(name, ())) if attack else audit_costs(name, audited)
    except ValueError as error:
        st.caption(sentence(str(error)))
        return None
    st.caption(spent)
    return Order(name, "evaluation" if attack else "audit", attack, "L2" if norm == "L2" else "Linf", eps, int(n))


def about(choices: Sequence[str]) -> str:
    """Say what each attack is."""
    told = {name: (kind(name), usual_label(name)) for name in choices}
    return "\n".join(
        f"- **{name}**: {plain(own.about or label)}" for name, (own, label) in told.items() if own is not None
    )


def audit_costs(name: str, audited: Mapping[str, Audited]) -> str:
    """Say what an audit takes, and what it takes the place of."""
    before = audited.get(name)
    if before is None:
        return "Some minutes, without resuming: an audit that is cut off begins anew."
    return (
        f"The last one took {lasts(before.seconds)}. It was of {before.date}, in {before.form} form on {before.n} "
        "images: the new one takes its place."
    )
