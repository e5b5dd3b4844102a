"""What was worked out of models and images, kept between reruns and shared between sessions."""

from __future__ import annotations

import streamlit as st
import torch
from torch import Tensor

from app.state.cores import both
from app.state.images import reference_rows, test_images
from app.state.models import LoadedModel
from lsp_core.explain.foresight import foreseen_margin
from lsp_core.explain.neighborhood import Reference, embed

BATCH = 100  # reference images at once
FORESEEN = 20  # images of which the page opens one: enough to find one that tells two models apart


def reference(of: LoadedModel) -> Reference:
    """Return the reference images, in pixels and in the model's embedding, where the model lies.

    Raises:
        DatasetError: if the test images are not there.
    """
    dataset = of.card.dataset
    pixels = test_images(dataset).float(reference_rows(dataset)).flatten(1)
    return Reference(of.put(pixels), _embedding(of, of.digest, dataset))


@st.cache_resource(show_spinner=False, max_entries=16)
def _embedding(_of: LoadedModel, digest: str, dataset: str) -> Tensor:
    images = test_images(dataset).float(reference_rows(dataset))
    return torch.cat([_embedded(_of, batch) for batch in images.split(BATCH)])


def _embedded(of: LoadedModel, batch: Tensor) -> Tensor:
    with of.lock:  # not around all batches: an attack may wait
        return embed(of.model, of.put(batch))


def foreseen(pair: tuple[LoadedModel, LoadedModel], eps: float) -> list[list[float]]:
    """Return the margins that either model will have left of the first reference images at an Linf radius.

    Raises:
        DatasetError: if the test images are not there.
        ValueError: if the outputs of a model are not finite.
    """
    return both(lambda of: _foreseen(of, of.digest, of.card.dataset, eps), pair)


@st.cache_data(show_spinner=False, max_entries=64)
def _foreseen(_of: LoadedModel, digest: str, dataset: str, eps: float) -> list[float]:
    data, rows = test_images(dataset), reference_rows(dataset)[:FORESEEN]
    images, labels = _of.put(data.float(rows)), _of.put(data.labels[rows])
    with _of.lock:
        margins: list[float] = foreseen_margin(_of.model, images, labels, eps).tolist()
    return margins


def forget_embeddings() -> None:
    """Work out anew what hangs on which the test images are."""
    _embedding.clear()
    _foreseen.clear()
