"""The checkpoints and their cards."""

from __future__ import annotations

import streamlit as st

from app.figures.text import plain, sentence
from app.panels.card import draw_card
from app.state.shelf import audits, catalogue, evaluations, folder


def main() -> None:
    """List every checkpoint of the folder, and say of each file that is none why not."""
    cards, problems = catalogue()
    records, _ = evaluations()
    audited, complaints = audits()
    st.title("Checkpoints", anchor=False)
    for problem in [*problems.values(), *complaints]:
        st.warning(sentence(problem))
    if not cards:
        st.info(
            f"There is none in {plain(folder().name)}/: `python -m lsp_core train digits --out checkpoints` makes one."
        )
        st.stop()
    datasets = sorted({card.dataset for card in cards.values()}, key=lambda name: (name != "digits", name))
    for place, dataset in enumerate(datasets):
        st.subheader(plain(dataset), anchor=False)
        names = [name for name, card in cards.items() if card.dataset == dataset]
        names.sort(key=lambda name: (not name.removesuffix("-lsp").endswith("standard"), name))
        with st.container(key=f"cards-{place}"):
            for name in names:
                draw_card(name, cards[name], records.get(name, ()), audited.get(name))


main()
