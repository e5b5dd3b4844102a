"""The first visit: three sentences, until they are dismissed."""

from __future__ import annotations

import streamlit as st

from app.panels.component import component

COOKIE = "lsp-lab-seen"  # kept by the browser, so that who has read it never sees it again
SENTENCES = (
    "Two models look at the same image; they differ in one thing, LSP: a term in training that keeps each image's "
    "neighbourhood in the embedding.",
    "The same attack changes the image a little, step by step, until a model takes it for something else: drag the bar "
    "to see each step.",
    "Below stands whether the image keeps its neighbours; one image proves nothing, so Robustness counts over many.",
)

_component = component("welcome")


def draw_welcome() -> None:
    """Draw the three sentences for who has not been here before."""
    if COOKIE in st.context.cookies or st.session_state.get("welcomed"):
        return
    with st.container(key="welcome"):
        _component(data={"sentences": SENTENCES, "cookie": COOKIE}, key="welcome-card", on_read_change=_read)


def _read() -> None:
    st.session_state["welcomed"] = True
