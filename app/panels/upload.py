"""An image of one's own."""

from __future__ import annotations

import hashlib

import streamlit as st
import torch

from app.figures.text import sentence
from app.state.images import Picture, decoded
from lsp_core import Card
from lsp_core.data.images import ImageError, fit_image


def uploaded_picture(card: Card) -> Picture | None:
    """Draw the upload; return the image if the last choice was one."""
    # Of a single file the browser would first report the removal of the one before it, as if nobody wanted it any more.
    files = st.file_uploader(
        "or upload your own",
        key="upload",
        help="PNG, JPEG, WEBP, BMP or GIF, up to 10 MB; of several files the last counts.",
        accept_multiple_files=True,
        on_change=take_upload,
    )
    problem, content = st.session_state.get("upload-problem"), st.session_state.get("own-image")
    if problem:
        st.error(sentence(problem))
    if content is None:
        if files and not problem:
            st.caption("An image of the gallery was chosen after this file; upload it again to see it.")
        return None
    original = decoded(content)
    channels, height, _ = card.image_shape
    pixels = torch.from_numpy(fit_image(original.pixels, channels, height))
    size = f"{original.pixels.shape[1]}×{original.pixels.shape[0]}"
    notes = list(original.notes)
    if original.pixels.shape[:2] != (height, height):
        notes.append(f"Cropped to the centre and resized from {size} to {height}×{height}.")
    if channels == 1 and original.pixels.ndim == 3:
        notes.append("Its colours became grey.")
    dark_strokes = channels == 1 and card.mean[0] < 0.5 < float(pixels.float().mean()) / 255
    if dark_strokes and st.toggle("Invert: the models know light strokes on black", value=True, key="invert"):
        pixels = 255 - pixels
    st.caption(" ".join([*notes, "Its class is not known, so a changed prediction counts as fooled."]))
    return Picture(pixels.float() / 255, None, hashlib.sha256(pixels.numpy().tobytes()).hexdigest())


def take_upload() -> None:
    """Keep what was uploaded; a file that cannot be used leaves a sentence, and the image before it stays."""
    files = st.session_state["upload"]
    if not files:
        forget_upload()
        return
    st.session_state["upload-problem"] = None
    try:
        decoded(files[-1].getvalue())
    except ImageError as error:
        st.session_state["upload-problem"] = f"{error} The image before it stays."
    else:
        st.session_state["own-image"] = files[-1].getvalue()


def forget_upload() -> None:
    """Go back to the gallery: what was chosen last counts."""
    st.session_state["own-image"] = st.session_state["upload-problem"] = None
