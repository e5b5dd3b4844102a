"""What became of the gallery's images under the same attack, as far as it was tried on them behind the page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.figures.html import render
from app.figures.outcome import HOLDERS, holder, sign
from app.state.images import reference_rows
from app.state.models import LoadedModel
from app.state.survey import survey
from lsp_core.types import Attack

Pair = tuple[LoadedModel, LoadedModel]


def outcomes_of(pair: Pair, attack: Attack) -> dict[int, tuple[str, str]]:
    """Return the sign of each model's outcome for the test images on which an attack was tried on both, by their row.

    Raises:
        DatasetError: if the test images are not there.
    """
    signs = [[sign(right) for right in survey(of, attack).outcomes] for of in pair]
    rows: list[int] = reference_rows(pair[0].card.dataset).tolist()
    return dict(zip(rows, zip(*signs, strict=False), strict=False))


def draw_marks(place: Any, pair: Pair, names: tuple[str, str], attack: Attack) -> None:
    """Draw under each image of the gallery what became of it by both models, and below how many they kept."""
    known = outcomes_of(pair, attack)
    marks = [known.get(row) for row in st.session_state.get("gallery-shown", ())]
    counts = {held: sum(holder(outcome) == held for outcome in known.values()) for held in HOLDERS}
    place.html(render("marks", marks=marks, names=names, counts=counts, n=len(known)))
