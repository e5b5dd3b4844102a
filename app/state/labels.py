"""The classes of the images that an evaluation was made on."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lsp_core import Card, ImageDataset, load_dataset
from lsp_core.data import DATASETS, DatasetError, drawn_rows
from lsp_core.evaluation.entry import Entry

Labels = NDArray[np.int64]


def labels_of(entry: Entry, card: Card) -> Labels:
    """Return the labels (n,) of an evaluation's images, in their order.

    Raises:
        DatasetError: if the data set is not here as a whole, or the evaluation does not say which images it drew.
    """
    data = _images(entry.dataset, card.dataset)
    if entry.seed is None or entry.n > len(data) or entry.split != "test" or data.classes != card.classes:
        raise DatasetError(f"It is not known which images of {entry.dataset} these were.")
    found: Labels = data.labels[drawn_rows(len(data), entry.n, entry.seed)].numpy()
    return found


@st.cache_resource(show_spinner=False, max_entries=2)
def _images(name: str, trained_on: str) -> ImageDataset:
    """Load the test images that an evaluation calls by name: a name in a file is never a path."""
    data = load_dataset(name if name in DATASETS else trained_on, "test")
    if data.name != name:
        raise DatasetError(f"{name} is no data set that is known here by name.")
    return data
