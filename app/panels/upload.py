"""An image of one's own."""

from __future__ import annotations

import hashlib

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from app.figures.text import sentence
from app.panels.own import Own, keep, other_ways
from app.state.images import Picture, decoded
from lsp_core import Card
from lsp_core.data.drawing import centre_drawing
from lsp_core.data.images import DecodedImage, cut_square, fit_image

CROP = (("Size", 10, 100), ("Left to right", 0, 50), ("Top to bottom", 0, 50))  # percent: the least, and the usual


def uploaded_picture(card: Card) -> Picture | None:
    """Draw the ways to bring an image; return it if the last choice was one."""
    # Of a single file the browser would first report the removal of the one before it, as if nobody wanted it any more.
    files = st.file_uploader(
        "or your own, also pasted",
        key="upload",
        help="PNG, JPEG, WEBP, BMP or GIF, up to 10 MB; of several files the last counts, until another is chosen.",
        accept_multiple_files=True,
        on_change=take_upload,
    )
    other_ways(card)
    problem, own = st.session_state.get("own-problem"), st.session_state.get("own")
    if problem:
        st.error(sentence(problem))
    if files and len(files) > 1 and own is not None and not own.drawn:
        choose_file([file.name for file in files])
    if own is None:
        if files and not problem:
            st.caption("An image of the gallery was chosen after this file; upload it again to see it.")
        return None
    pixels, notes = fitted(own, card)
    st.caption(" ".join([*notes, "Its class is not known, so a changed prediction counts as fooled."]))
    tensor = torch.from_numpy(pixels)
    return Picture(tensor.float() / 255, None, hashlib.sha256(pixels.tobytes()).hexdigest())


def fitted(own: Own, card: Card) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the image (C,H,W) as the models take it, and a sentence for each change; draw what can be chosen."""
    original = decoded(own.content)
    channels, height, _ = card.image_shape
    if own.drawn:
        grey = original.pixels if original.pixels.ndim == 2 else original.pixels.max(2)
        scaled = centre_drawing(grey, height)[None]
        return scaled, [f"Brought to {height}×{height} pixels, its centre of mass in the middle."]
    cut = cropped(original)
    pixels = fit_image(cut, channels, height)
    size = f"{original.pixels.shape[1]}×{original.pixels.shape[0]}"
    notes = list(original.notes)
    if original.pixels.shape[:2] != (height, height):
        where = "to the centre" if cut is original.pixels else "where you said"
        notes.append(f"Cropped {where} and resized from {size} to {height}×{height}.")
    if channels == 1 and original.pixels.ndim == 3:
        notes.append("Its colours became grey.")
    dark_strokes = channels == 1 and card.mean[0] < 0.5 < float(pixels.mean()) / 255
    if dark_strokes and st.toggle("Invert: the models know light strokes on black", value=True, key="invert"):
        pixels = 255 - pixels
    return pixels, notes


def cropped(original: DecodedImage) -> NDArray[np.uint8]:
    """Draw the crop; return the square that was cut out by hand, the whole image if none was."""
    with st.popover("Crop", icon=":material/crop:", width="stretch"):
        size, across, down = (
            st.slider(name, least, 100, usual, format="%d %%", key=f"crop-{name}", persist_state="session")
            for name, least, usual in CROP
        )
    if all(value == usual for value, (_, _, usual) in zip((size, across, down), CROP, strict=True)):
        return original.pixels
    return cut_square(original.pixels, size / 100, across / 100, down / 100)


def choose_file(names: list[str]) -> None:
    """Draw which of several files is looked at; choosing one takes it."""
    places = range(len(names))
    st.selectbox("File", places, places[-1], format_func=names.__getitem__, key="file", on_change=take_file)


def take_upload() -> None:
    """Take the last of the files that were chosen; with none left, the gallery's image is back."""
    files = st.session_state["upload"]
    st.session_state.pop("file", None)
    keep(lambda: files[-1].getvalue() if files else None)


def take_file() -> None:
    """Take that one of the files."""
    files, place = st.session_state["upload"], st.session_state["file"]
    keep(files[place].getvalue)
