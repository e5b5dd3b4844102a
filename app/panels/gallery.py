"""The gallery of test images: pages, filters, and under each image what became of it, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.figures.outcome import HOLDERS, holder
from app.figures.pictures import data_uri
from app.figures.text import plain
from app.panels.fetch import offer_dataset
from app.panels.marks import Pair, outcomes_of
from app.panels.own import forget_own
from app.state.images import Picture, images_for, reference_rows
from app.state.worked import foreseen
from lsp_core import ImageDataset
from lsp_core.types import Attack

PAGE = 20
ALL = "all"


def choose_picture(pair: Pair, attack: Attack) -> Picture:
    """Draw the gallery; open it on an image that seems to tell the two models apart, in either direction.

    Args:
        pair: the models.
        attack: the one whose outcomes are known, or sought.

    Raises:
        DatasetError: if its images are not there, or are of another kind than the models take.
    """
    card = pair[0].card
    data, rows = images_for(card), reference_rows(card.dataset).tolist()
    if not 0 <= st.session_state.get("gallery", -1) < len(data) or st.session_state.get("gallery-of") != card.dataset:
        st.session_state["gallery"], st.session_state["gallery-of"] = opening(pair, rows), card.dataset
        st.session_state.pop("gallery-page", None)
    head, button = st.columns([2, 1], vertical_alignment="center")
    head.markdown("Test image" if data.rows is None else f"Test image of a sample of {len(data)}")
    with button.popover("Find", icon=":material/search:", width="stretch"):
        found = sifted(data, rows, outcomes_of(pair, attack))
        if data.rows is not None:
            offer_dataset(card.dataset)
    pages = max(1, -(-len(found) // PAGE))
    page = st.session_state.get("gallery-page", 1)
    if page > pages:  # fewer images pass than before
        page = 1
        st.session_state.pop("gallery-page")
    shown = found[(page - 1) * PAGE : page * PAGE]
    chosen = st.session_state["gallery"]
    if chosen not in shown:  # what is open stays in sight
        shown = [chosen, *shown]
    st.session_state["gallery-shown"] = shown
    thumbnails = {
        row: f"![{plain(data.classes[int(data.labels[row])])}]({data_uri(data.images[row].numpy())})" for row in shown
    }
    st.pills(
        "Image",
        shown,
        format_func=thumbnails.__getitem__,
        key="gallery",
        required=True,
        on_change=forget_own,
        persist_state="session",
        label_visibility="collapsed",
    )
    if pages > 1:
        st.pagination(pages, key="gallery-page", max_visible_pages=3, persist_state="session")
    row = int(st.session_state["gallery"])
    return Picture(data.float(slice(row, row + 1))[0], int(data.labels[row]), f"{card.dataset} {row}", row)


def opening(pair: Pair, rows: Sequence[int]) -> int:
    """Return the image that most surely is kept by one model alone, by what one gradient foresees; else the first."""
    if not all(of.card.gradient for of in pair):
        return rows[0]
    first, second = foreseen(pair, pair[0].card.eps)
    apart = [min(abs(a), abs(b)) if a * b < 0 else 0.0 for a, b in zip(first, second, strict=True)]
    return rows[apart.index(max(apart))]


def sifted(data: ImageDataset, rows: Sequence[int], known: Mapping[int, tuple[str, str]]) -> list[int]:
    """Draw the filters; return the images that pass, of which an outcome must be known if one is asked for."""
    numbers = range(len(data)) if data.rows is None else data.rows.tolist()
    wanted = st.number_input(
        "Number among all test images", 0, max(numbers), None, 1, key="gallery-number", placeholder="none"
    )
    names = st.selectbox("Class", [ALL, *data.classes], key="gallery-class", persist_state="session")
    held = st.selectbox(
        "Under attack",
        [ALL, *HOLDERS],
        key="gallery-outcome",
        persist_state="session",
        help="Of images whose outcome is known: the same attack is tried on them behind the page, one after the other.",
    )
    if wanted is not None:
        if wanted in numbers:
            return [numbers.index(wanted)]
        st.caption(f"The sample here has no image {wanted}; the whole data set has.")
    passed = [row for row in rows if names in (ALL, data.classes[int(data.labels[row])])]
    if brushed := set(st.session_state.get("gallery-brushed") or ()):
        passed = [row for row in passed if row in brushed]
        st.button(f"Forget the frame of {len(brushed)} images on the map", on_click=_forget_frame)
    if held != ALL:
        passed = [row for row in passed if row in known and holder(known[row]) == held]
        st.caption(f"{len(passed)} of the {len(known)} images that were tried so far.")
    return passed


def _forget_frame() -> None:
    st.session_state["gallery-brushed"] = []
