"""What was worked out of models and images, kept between reruns and shared between sessions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.state.cores import both
from app.state.images import gallery_rows, reference_rows, test_images
from app.state.models import LoadedModel
from lsp_core import evaluate
from lsp_core.attacks import PGD
from lsp_core.explain.neighborhood import Reference, embed
from lsp_core.explain.saliency import attribute

BATCH = 100  # reference images at once


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


def gallery_outcomes(pair: tuple[LoadedModel, LoadedModel], attack: PGD) -> list[list[bool]]:
    """Return which images of the gallery each model gets right before and after the attack: both side by side."""
    with st.spinner("Trying the gallery's images …"):
        return both(lambda of: _gallery_outcome(of, of.digest, attack), pair)


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs={PGD: repr})
def _gallery_outcome(_of: LoadedModel, digest: str, attack: PGD) -> list[bool]:
    data, rows = test_images(_of.card.dataset), torch.tensor(gallery_rows(_of.card.dataset))
    images, labels = _of.put(data.float(rows)), _of.put(data.labels[rows])
    with _of.lock:
        result = evaluate(_of.model, images, labels, replace(attack, early_stop=True))
    return [bool(value) for value in result.robust_correct]


@st.cache_data(show_spinner=False, max_entries=256)
def saliency_maps(
    _of: LoadedModel, _images: Tensor, targets: tuple[int, ...], method: str, key: str
) -> NDArray[np.float32]:
    """Return signed saliency maps (N,H,W). ``key`` stands for model and images in the cache.

    Raises:
        ValueError: if the method is unknown.
    """
    with _of.lock:
        maps = attribute(_of.model, _of.put(_images), _of.put(torch.tensor(targets)), method)
    found: NDArray[np.float32] = maps.cpu().numpy()
    return found
