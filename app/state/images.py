"""Test images and uploads, read once."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from torch import Tensor

from lsp_core import Card, ImageDataset, load_dataset
from lsp_core.data import DatasetError, spread
from lsp_core.data.images import DecodedImage, decode_image

REFERENCE_SIZE = 1000
GALLERY_CLASSES, GALLERY_EACH = 10, 2


@dataclass(frozen=True)
class Picture:
    """The chosen image (C,H,W) in [0,1]; ``key`` tells pictures apart.

    ``label``, the class, and ``row``, the place among the test images, are None for an upload.
    """

    image: Tensor
    label: int | None
    key: str
    row: int | None = None


@st.cache_resource(show_spinner="Reading the data set …", max_entries=4)
def test_images(name: str) -> ImageDataset:
    """Load the test split of a data set.

    Raises:
        DatasetError: if it is not there.
    """
    return load_dataset(name, "test")


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


@st.cache_data(show_spinner=False, max_entries=8)
def gallery_rows(dataset: str) -> list[int]:
    """Return the test images of the gallery: two of each class, of at most ten classes."""
    data = test_images(dataset)
    classes = min(GALLERY_CLASSES, len(data.classes))
    rows = spread(data.labels, GALLERY_EACH * len(data.classes))
    return [int(row) for row in rows if int(data.labels[row]) < classes]


@st.cache_data(show_spinner=False, max_entries=4)
def decoded(content: bytes) -> DecodedImage:
    """Decode an upload once, not at every rerun.

    Raises:
        ImageError: as ``decode_image``.
    """
    return decode_image(content)
