"""Checkpoints as a table to choose from: sorted by any column, filtered, as many chosen as one likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app.figures.summary import MARKS, Summary
from app.figures.text import plain
from app.panels.take import take_away

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

FILTERS: dict[str, Callable[[Summary], str]] = {
    "Data set": lambda one: one.card.dataset,
    "Objective": lambda one: one.card.objective,
    "Trained": lambda one: MARKS[one.training],
}
CHIPS = ["#B4531A", "#1F6FB5", "#5F6670"]  # those of the style sheet, of baselines, of LSP, and of what was brought
HIGHEST = 430  # pixels; then it scrolls
ROW, HEAD, NAME = 35, 38, 250


def choose_checkpoints(found: Sequence[Summary], key: str) -> tuple[list[Summary], list[Summary]]:
    """Draw filters and table; return those that the filters let through, and those of them that are chosen.

    ``key`` is that of the table. What is chosen stays so as long as the filters let it through, wherever its row goes.
    """
    shown = _filtered(found, key)
    if not shown:
        st.info("No checkpoint passes these filters.")
        return [], []
    names = [one.name for one in shown]
    if key not in st.session_state or st.session_state.get(f"{key}-shown") != names:  # or we come from another page
        kept = [names.index(name) for name in st.session_state.get(f"{key}-chosen", []) if name in names]
        st.session_state[key] = {"selection": {"rows": kept, "columns": [], "cells": []}}
        st.session_state[f"{key}-shown"] = names
    rows = [one.row for one in shown]
    event = st.dataframe(
        rows,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        height=min(HIGHEST, HEAD + ROW * len(rows)),
        column_config=columns(),
        placeholder="–",
        alt="Checkpoints with their figures; a row can be chosen by its first cell.",
    )
    chosen = [shown[row] for row in event["selection"]["rows"] if row < len(shown)]
    st.session_state[f"{key}-chosen"] = [one.name for one in chosen]
    take_away(key, rows=rows)
    return shown, chosen


def _filtered(found: Sequence[Summary], key: str) -> list[Summary]:
    """Draw a filter for each column of ``FILTERS`` that has more than one value; nothing chosen lets all through."""
    shown = list(found)
    with st.container(key=f"{key}-filters", horizontal=True, gap="medium"):
        for which, value in FILTERS.items():
            options = list(dict.fromkeys(map(value, found)))
            if len(options) < 2:
                continue
            picked = st.pills(which, options, selection_mode="multi", format_func=plain, key=f"{key}-{which.lower()}")
            shown = [one for one in shown if not picked or value(one) in picked]
    return shown


def columns() -> dict[str, ColumnConfig]:
    """Return how the columns are shown."""
    config = st.column_config
    share = "%.1f %%"
    return {
        "checkpoint": config.TextColumn(width=NAME),
        "clean": config.NumberColumn(format=share, help="Right without an attack, on test images."),
        "robust": config.NumberColumn(
            format=share, help="Right under the strongest attack that was run, nearest to the radius of the training."
        ),
        "95 %": config.TextColumn(help="Wilson interval of the robust accuracy, in percent."),
        "under": config.TextColumn(help="Which attack that was, and its radius in Linf."),
        "n": config.NumberColumn(help="Test images under that attack."),
        "audit": config.TextColumn(help="Whether attacks fail for another reason. What passes is no proof."),
        "held out": config.LineChartColumn(
            y_min=0, y_max=100, help="Accuracy under the attack that chose the epoch, on held-out images, by epoch."
        ),
        "trained": config.MultiselectColumn(options=list(MARKS.values()), color=CHIPS, width="small"),
    }
