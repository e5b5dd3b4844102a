"""The gallery of test images."""

from __future__ import annotations

import streamlit as st

from app.figures.pictures import data_uri
from app.figures.text import plain
from app.panels.upload import forget_upload
from app.state.images import Picture, gallery_rows, images_for
from app.state.models import LoadedModel
from app.state.worked import gallery_outcomes
from lsp_core.attacks import PGD
from lsp_core.radius import show_eps


def choose_picture(pair: tuple[LoadedModel, LoadedModel], default: PGD) -> Picture:
    """Draw the gallery; open it on the first image where the two models differ, in either direction.

    Raises:
        DatasetError: if its images are not there, or are of another kind than the models take.
    """
    dataset = pair[0].card.dataset
    data, rows = images_for(pair[0].card), gallery_rows(dataset)
    outcomes = gallery_outcomes(pair, default)
    differ = [row for row, a, b in zip(rows, *outcomes, strict=True) if a != b]
    opening = differ[0] if differ else rows[0]
    if st.session_state.get("gallery") not in rows or st.session_state.get("gallery-of") != dataset:
        st.session_state["gallery"], st.session_state["gallery-of"] = opening, dataset
    thumbnails = {
        row: f"![{plain(data.classes[int(data.labels[row])])}]({data_uri(data.images[row].numpy())})" for row in rows
    }
    st.pills(
        "Image",
        rows,
        format_func=thumbnails.__getitem__,
        key="gallery",
        required=True,
        on_change=forget_upload,
        persist_state="session",
    )
    kept = [sum(outcome) for outcome in outcomes]
    st.caption(
        f"Of these {len(rows)} test images the left model keeps {kept[0]} at {show_eps(default.eps)}, "
        f"the right one {kept[1]}. "
        "It opens on the first where they differ."
    )
    row = st.session_state["gallery"]
    return Picture(data.float(slice(row, row + 1))[0], int(data.labels[row]), f"{dataset} {row}", row)
