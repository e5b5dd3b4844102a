"""What LSP was for one checkpoint."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.figures.html import render
from lsp_core import Card


def draw_recipe(found: dict[str, Any] | None, card: Card) -> None:
    """Draw the settings of LSP as a sum of two parts, or say why there is none."""
    st.subheader("What LSP was", anchor=False)
    if found is not None:
        with st.container(key="recipe"):
            st.html(render("recipe", **found))
    elif card.origin is not None:
        st.caption("Nobody here knows: this model was brought from outside.")
    elif card.lsp is None:
        st.caption("Nothing: this is a baseline, trained on the task alone.")
    else:
        st.caption("Its settings are of another version than this one; the card shows them as they are.")
