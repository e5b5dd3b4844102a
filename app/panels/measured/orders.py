"""Measure more from the page: an evaluation or an audit is ordered, watched, stopped and taken up again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from app.figures.cost import costs, lasts
from app.figures.naming import usual_label
from app.figures.text import plain, sentence
from app.state.measure import Order
from app.state.orders import Board, board
from app.state.task import Task
from lsp_core import Card
from lsp_core.attacks.contract import check_settings
from lsp_core.attacks.norms import NORMS
from lsp_core.attacks.table import ATTACKS, kind
from lsp_core.audit import Audited
from lsp_core.evaluation.entry import Entry
from lsp_core.radius import parse_eps, show_eps

GLANCE = 1.0  # seconds between two looks at what goes on
IMAGES, AUDITED, MOST = 1000, 128, 100_000
WORKS = {"evaluation": "Attack", "audit": "Audit (quick form)"}
STATES = {"done": "✓", "failed": "✕", "stopped": "·"}


def draw_orders(
    place: Path, cards: Mapping[str, Card], records: Mapping[str, Sequence[Entry]], audited: Mapping[str, Audited]
) -> None:
    """Draw the form, what goes on, and what was cut off."""
    st.subheader("Measure more", anchor=False)
    if not os.access(place, os.W_OK):
        st.caption(
            f"Nothing can be written in {plain(place.name)}/, so no result could be kept: start the app with "
            "LSP_CHECKPOINTS on a folder that can be written."
        )
        return
    orders = board(place)
    with st.container(border=True, key="order"):
        order = choose_order(cards, records, audited)
        if st.button("Measure", key="measure", type="primary", disabled=order is None) and order is not None:
            try:
                orders.place_order(order)
            except OSError as error:
                st.error(sentence(f"Nothing can be written in {place.name}/: {error.strerror}."))
    watch(orders)
    for number, left in enumerate(one for one in orders.cut_off() if one.checkpoint in cards):
        draw_cut_off(orders, left, number)


def choose_order(
    cards: Mapping[str, Card], records: Mapping[str, Sequence[Entry]], audited: Mapping[str, Audited]
) -> Order | None:
    """Draw the form; return what it says, None where that cannot be meant."""
    left, middle = st.columns([2, 1])
    name = left.selectbox("Checkpoint", list(cards), key="order-checkpoint")
    work = middle.segmented_control(
        "Work", list(WORKS), format_func=WORKS.__getitem__, key="order-work", default="evaluation", required=True
    )
    card, attack = cards[name], ""
    one, two, three, four = st.columns(4)
    if work == "evaluation":
        choices = [attack for attack in ATTACKS if usual_label(attack)]
        attack = one.selectbox("Attack", choices, index=choices.index("fast"), key="order-attack", help=about(choices))
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


def watch(orders: Board) -> None:
    """Draw what runs, waits and has ended, again and again while something goes on."""
    running, over = bool(orders.active), orders.over

    @st.fragment(run_every=GLANCE if running else None)
    def look() -> None:
        if orders.over != over:
            st.rerun()  # the whole page: there are new figures
        for task in orders.tasks:
            draw_task(task)

    with st.container(key="orders"):
        look()


def draw_task(task: Task) -> None:
    """Draw one order on its way, or what came of it."""
    if not task.active:
        if task.state != "stopped":
            st.markdown(f"{STATES[task.state]} {said(task.order)}: {sentence(task.said)}")
        return
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(1.0, task.done / task.total) if task.total else 0.0, f"{said(task.order)}: {progress(task)}")
    button.button("Stop", key=f"stop-order-{task.number}", on_click=task.stop, width="stretch")


def progress(task: Task) -> str:
    """Say how far an order is."""
    if task.stop_wanted:
        return "stops at its next step"
    if task.state == "waiting":
        return "waits for the one before it"
    unit = "passes" if task.order.work == "evaluation" else "checks"
    left = task.seconds_left
    when = "" if left is None else f", {'at most ' if unit == 'passes' else 'about '}{lasts(left)} left"
    return f"{task.done:,} of {task.total:,} {unit}{when}" if task.total else "begins"


def draw_cut_off(orders: Board, order: Order, number: int) -> None:
    """Draw an order that is neither over nor on its way."""
    words, again, away = st.columns([4, 1, 1], vertical_alignment="center")
    begun = "goes on where it was" if order.work == "evaluation" else "begins anew"
    words.markdown(f"· {said(order)}: not over; it {begun}.")
    again.button("Go on", key=f"go-on-{number}", on_click=go_on, args=(orders, order), width="stretch")
    away.button("Forget", key=f"forget-{number}", on_click=orders.forget, args=(order,), width="stretch")


def go_on(orders: Board, order: Order) -> None:
    """Take an order up again."""
    orders.place_order(order)


def said(order: Order) -> str:
    """Say what is measured."""
    what = f"under {usual_label(order.attack)}" if order.work == "evaluation" else "audit"
    return f"{plain(order.checkpoint)} {plain(what)}, {order.norm} {show_eps(order.eps)}, n = {order.n}"
