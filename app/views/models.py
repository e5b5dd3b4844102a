"""The checkpoints: a table to choose from, the card of one, and two compared."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.figures.recipe import recipe
from app.figures.summary import Summary, summaries
from app.figures.text import plain, sentence
from app.figures.training import training_charts
from app.panels.card import draw_card
from app.panels.choice import choose_checkpoints
from app.panels.measured.bring import draw_bring
from app.panels.recipe import draw_recipe
from app.panels.take import take_away
from app.panels.versus import draw_versus
from app.state.shelf import audits, catalogue, evaluations, folder


def main() -> None:
    """List every checkpoint of the folder, and say of each file that is none why not."""
    cards, problems = catalogue()
    records, _ = evaluations()
    audited, complaints = audits()
    st.title("Models", anchor=False)
    for problem in [*problems.values(), *complaints]:
        st.warning(sentence(problem))
    draw_bring(cards)
    if not cards:
        st.info(
            f"There is none in {plain(folder().name)}/: `python -m lsp_core train digits --out checkpoints` makes one."
        )
        st.stop()
    _, chosen = choose_checkpoints(summaries(cards, records, audited), "models")
    if not chosen:
        st.caption("Choose one by its first cell to see its card, two to compare them.")
    elif len(chosen) == 1:
        draw_one(chosen[0])
    else:
        if len(chosen) > 2:
            st.caption("Two at a time are compared: these are the first of those that are chosen.")
        first, second = sorted(chosen[:2], key=lambda one: one.card.lsp is not None)
        draw_versus(first, second)
        draw_training([first, second])


def draw_one(of: Summary) -> None:
    """Draw the card of a checkpoint, what made it, and its training."""
    draw_card(of.name, of.card, of.entries, of.audited)
    draw_recipe(recipe(of.card), of.card)
    draw_training([of])


def draw_training(found: Sequence[Summary]) -> None:
    """Draw the training curves of one or two checkpoints."""
    charts = training_charts(found)
    st.subheader("Training", anchor=False)
    if not charts:
        st.caption("No card here says anything of its epochs.")
        return
    with st.container(key="training"):
        for place, (column, chart) in enumerate(zip(st.columns(len(charts)), charts, strict=True)):
            with column:
                st.altair_chart(chart, width="stretch")
                take_away(f"training-{place}", chart)


main()
