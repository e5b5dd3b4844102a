"""What the person chooses: models, image and attack. Each function draws its widgets and returns the choice."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass

import streamlit as st
import torch
from torch import Tensor

from app.figures.pictures import data_uri
from app.state.cache import Subject, decoded, gallery_outcome, gallery_rows, images_for, subject
from app.state.shelf import trained_eps
from lsp_core import Card
from lsp_core.attacks import PGD
from lsp_core.attacks.norms import NORMS
from lsp_core.data.images import ImageError, fit_image
from lsp_core.radius import show_eps

LINF_STEPS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128)
L2_RADII = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
FIRST_CHOICE = "digits-cnn-standard"
DEFAULT_STEPS, MOST_STEPS = 20, 200


@dataclass(frozen=True)
class Picture:
    """The chosen image (C,H,W) in [0,1]; ``key`` tells pictures apart.

    ``label``, the class, and ``row``, the place among the test images, are None for an upload.
    """

    image: Tensor
    label: int | None
    key: str
    row: int | None = None


def choose_models(cards: dict[str, Card]) -> tuple[str, str]:
    """Draw both model lists; choosing the first brings its twin into the second."""
    names = list(cards)
    if st.session_state.get("model-a") not in names:
        st.session_state["model-a"] = FIRST_CHOICE if FIRST_CHOICE in names else names[0]
    first = st.session_state["model-a"]
    rivals = [name for name in names if comparable(cards[name], cards[first])]
    if st.session_state.get("model-b") not in rivals or st.session_state.get("paired-with") != first:
        twin = cards[first].twin
        st.session_state["model-b"] = twin if twin in rivals else first
        st.session_state["paired-with"] = first
    left, right = st.columns(2)
    left.selectbox("Model A", names, key="model-a", label_visibility="collapsed", persist_state="session")
    right.selectbox("Model B", rivals, key="model-b", label_visibility="collapsed", persist_state="session")
    return first, st.session_state["model-b"]


def comparable(one: Card, other: Card) -> bool:
    """Whether two checkpoints can look at the same image and name the same classes."""
    return (one.dataset, one.image_shape, one.classes) == (other.dataset, other.image_shape, other.classes)


def choose_picture(pair: tuple[Subject, Subject], default: PGD) -> Picture:
    """Draw the gallery; open it on the first image where the two models differ, in either direction.

    Raises:
        DatasetError: if its images are not there, or are of another kind than the models take.
    """
    dataset = pair[0].card.dataset
    data, rows = images_for(pair[0].card), gallery_rows(dataset)
    outcomes = [gallery_outcome(one, default) for one in pair]
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


def plain(name: str) -> str:
    """Write a class name so that Markdown takes none of its characters for markup."""
    return re.sub(r"([^\w\s])", r"\\\1", name)


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
        st.error(problem)
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


def default_attack(card: Card, norm: str = "Linf") -> PGD:
    """Return the attack that a data set's page opens with: the radius its first model is measured at."""
    linf = trained_eps(card)
    eps = (
        linf if norm == "Linf" else min(L2_RADII, key=lambda radius: abs(radius - linf * math.sqrt(_pixels(card)) / 2))
    )
    return PGD(eps, steps=DEFAULT_STEPS, norm="Linf" if norm == "Linf" else "L2", early_stop=False)


def choose_attack(card: Card) -> PGD:
    """Draw eps, steps and norm."""
    norm = st.segmented_control("Norm", list(NORMS), key="norm", default="Linf", required=True, persist_state="session")
    usual = default_attack(card, norm)
    radii = {value / 255 for value in LINF_STEPS} if norm == "Linf" else set(L2_RADII)
    options = sorted(radii | {usual.eps})
    if st.session_state.get("eps") not in options or st.session_state.get("eps-for") != (card.dataset, norm, usual.eps):
        st.session_state["eps"], st.session_state["eps-for"] = usual.eps, (card.dataset, norm, usual.eps)
    eps = st.select_slider(
        "Radius eps", options, format_func=show_eps, key="eps", help="In pixel units, of 1.", persist_state="session"
    )
    steps = st.slider("PGD steps", 1, MOST_STEPS, DEFAULT_STEPS, key="steps", persist_state="session")
    attack = PGD(eps, steps=steps, norm=usual.norm, early_stop=False)
    st.caption(f"Step size {attack.step_size:.2g} (2.5 eps / steps), random start, seed {attack.seed}, cross-entropy.")
    return attack


def load_pair(names: tuple[str, str]) -> tuple[Subject, Subject]:
    """Load both checkpoints.

    Raises:
        CheckpointError: if one cannot be loaded.
    """
    return subject(names[0]), subject(names[1])


def _pixels(card: Card) -> int:
    return math.prod(card.image_shape)
