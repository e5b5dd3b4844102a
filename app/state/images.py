"""Test images and uploads, read once. Of a data set that is not here there may be a sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import streamlit as st
from torch import Tensor

from app.state.shipped import shipped
from lsp_core import Card, ImageDataset, load_dataset
from lsp_core.data import DatasetError, spread
from lsp_core.data.dataset import AbsentError
from lsp_core.data.images import DecodedImage, decode_image
from lsp_core.data.sheets import load_sheets

REFERENCE_SIZE = 1000


@dataclass(frozen=True)
class Picture:
    """The chosen image (C,H,W) in [0,1]; ``key`` tells pictures apart.

    ``label``, the class, and ``row``, the place among the test images, are None for an upload.
    """

    image: Tensor
    label: int | None
    key: str
    row: int | None = None


@st.cache_resource(show_spinner=False, max_entries=4)
def test_images(name: str) -> ImageDataset:
    """Load the test split of a data set, or where it is not here a sample of it, if there is one.

    Raises:
        DatasetError: if there is neither.
    """
    try:
        return load_dataset(name, "test")
    except AbsentError:  # one that is damaged is not hidden behind a sample
        sample = load_sheets(shipped("checkpoints", "checkpoints") / "samples" / name, "test")
        if sample is None:
            raise
        return sample


@st.cache_data(show_spinner=False)
def are_here(name: str) -> bool:
    """Whether there are test images of a data set, or a sample of them."""
    try:
        test_images(name)
    except DatasetError:
        return False
    return True


def forget_images() -> None:
    """Read test images, and all that hangs on which they are, anew: a data set has come."""
    for kept in (test_images, are_here, reference_rows, image_ids):
        kept.clear()


def images_for(card: Card) -> ImageDataset:
    """Return the test images that a checkpoint was made for.

    Raises:
        DatasetError: if they are not there, or are of another kind than those it was trained on.
    """
    data = test_images(card.dataset)
    found, wanted = (data.image_shape, len(data.classes)), (card.image_shape, len(card.classes))
    if found != wanted:
        shapes = [f"{'×'.join(map(str, shape))} with {count} classes" for shape, count in (found, wanted)]
        raise DatasetError(f"The images of {card.dataset} are {shapes[0]}, but {card.name} was trained on {shapes[1]}.")
    return data


@st.cache_resource(show_spinner=False, max_entries=8)
def reference_rows(name: str) -> Tensor:
    """Return the rows of the test images that neighbours are looked for among: the same for every model."""
    return spread(test_images(name).labels, REFERENCE_SIZE)


@st.cache_resource(show_spinner=False, max_entries=8)
def image_ids(name: str) -> list[str]:
    """Return what the test images are called in links: by their pixels, as the order of a data set is not one for all.

    Raises:
        DatasetError: if they are not there.
    """
    return [hashlib.sha256(image.tobytes()).hexdigest()[:12] for image in test_images(name).images.numpy()]


@st.cache_data(show_spinner=False, max_entries=4)
def decoded(content: bytes) -> DecodedImage:
    """Decode an upload once, not at every rerun.

    Raises:
        ImageError: as ``decode_image``.
    """
    return decode_image(content)
