"""A whole data set in place of its sample, or of none: a button that says how large it is, and what comes of it."""

from __future__ import annotations

import streamlit as st

from app.figures.text import plain, sentence
from app.state.fetching import fetching
from lsp_core.data import DATASETS

GLANCE = 0.5  # seconds between two looks


def offer_dataset(name: str) -> None:
    """Draw the button, or how far the fetching is; the page is drawn anew when the data set is here."""
    if name not in DATASETS or not DATASETS[name].megabytes:
        return
    found = fetching(name)
    running = found.state == "running"

    @st.fragment(run_every=GLANCE if running else None)
    def look() -> None:
        if running and found.state != "running":
            st.rerun()
        if found.state == "running":
            said = f"Fetching {plain(name)}" if found.share < 1 else f"Unpacking {plain(name)}"
            st.progress(found.share, f"{said}: {found.bytes / 1e6:.0f} of {DATASETS[name].megabytes} MB")
            return
        if found.problem:
            st.error(sentence(f"{found.problem} Nothing was changed."))
        st.button(
            f"Fetch all of {name}, {DATASETS[name].megabytes} MB",
            key="fetch",
            icon=":material/download:",
            on_click=found.begin,
            width="stretch",
        )

    look()
