"""Ways to bring an image of one's own besides a file: drawn by hand, from the camera, from the clipboard.

What was brought last counts, a choice in the gallery included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app.panels.component import component
from app.state.images import decoded
from lsp_core import Card
from lsp_core.data.images import MAX_BYTES, ImageError, decode_address

HELP = "Light strokes on black. With keys: arrows move, space puts the pen down and lifts it."

_canvas = component("draw")
_clipboard = component("paste")


@dataclass(frozen=True)
class Own:
    """An image that somebody brought: its file, and whether it was ``drawn`` here."""

    content: bytes
    drawn: bool = False


def keep(take: Callable[[], bytes | None], drawn: bool = False) -> None:
    """Keep what somebody brought; one that cannot be used leaves a sentence, and the image before it stays."""
    st.session_state["own-problem"] = None
    try:
        content = take()
        if content is not None:
            decoded(content)
    except ImageError as error:
        st.session_state["own-problem"] = f"{error} The image before it stays."
        return
    if content is None:
        forget_own()
    else:
        st.session_state["own"] = Own(content, drawn)


def forget_own() -> None:
    """Go back to the gallery: what was chosen last counts."""
    st.session_state["own"] = st.session_state["own-problem"] = None


def other_ways(card: Card) -> None:
    """Draw what can be drawn on, photographed with, or pasted into."""
    _clipboard(data={"most": MAX_BYTES}, key="paste", on_pasted_change=_pasted)
    can_draw = card.image_shape[0] == 1
    draw, camera = st.columns(2) if can_draw else (st, st)
    if can_draw:
        with draw.container(key="draw"), st.popover("Draw", icon=":material/draw:", width="stretch"):
            _canvas(data={"help": HELP}, key="drawing", on_drawing_change=_drawn)
    opened = camera.popover("Camera", icon=":material/photo_camera:", width="stretch", on_change="rerun", key="camera")
    if opened.open:  # only now does the browser ask for leave
        with opened:
            st.camera_input("Photograph", key="photograph", on_change=_photographed, label_visibility="collapsed")


def _drawn() -> None:
    address = st.session_state["drawing"].get("drawing")
    keep(lambda: decode_address(address) if address else None, drawn=True)


def _pasted() -> None:
    address = st.session_state["paste"].get("pasted")
    if address:
        keep(lambda: decode_address(address))


def _photographed() -> None:
    photograph = st.session_state["photograph"]
    keep(lambda: photograph.getvalue() if photograph else None)
