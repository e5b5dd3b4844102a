"""What was ordered: how far it is, what came of it, and what was cut off; stopped and taken up again."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.figures.cost import lasts
from app.figures.naming import usual_label
from app.figures.text import plain, sentence
from app.state.measure import Order
from app.state.orders import Board
from app.state.task import Task
from lsp_core.radius import show_eps

GLANCE = 1.0  # seconds between two looks at what goes on
STATES = {"done": "✓", "failed": "✕", "stopped": "·"}


def watch(boards: Sequence[Board]) -> None:
    """Draw what runs, waits and has ended, again and again while something goes on."""
    running, over = any(orders.active for orders in boards), [orders.over for orders in boards]

    @st.fragment(run_every=GLANCE if running else None)
    def look() -> None:
        if [orders.over for orders in boards] != over:
            st.rerun()  # the whole page: there are new figures
        for place, orders in enumerate(boards):
            for task in orders.tasks:
                draw_task(task, f"{place}-{task.number}")

    with st.container(key="orders"):
        look()


def draw_task(task: Task, key: str) -> None:
    """Draw one order on its way, or what came of it; ``key`` is that of its button."""
    if not task.active:
        if task.state != "stopped":
            st.markdown(f"{STATES[task.state]} {said(task.order)}: {sentence(task.said)}")
        return
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(min(1.0, task.done / task.total) if task.total else 0.0, f"{said(task.order)}: {progress(task)}")
    button.button("Stop", key=f"stop-order-{key}", on_click=task.stop, width="stretch")


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
