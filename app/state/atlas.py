"""Both embeddings of the reference images in two dimensions, and the way of an attack through them."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from PIL import Image

from app.state.images import reference_rows, test_images
from app.state.models import LoadedModel
from app.state.near import NEIGHBORS
from app.state.worked import reference
from lsp_core.explain.neighborhood import embed
from lsp_core.explain.projection import Projection
from lsp_core.explain.trace import Trace
from lsp_core.neighborhoods import knn_overlap

MOST_PLACES = 40  # of an attack's way
Places = NDArray[np.float32]


@dataclass(frozen=True)
class Atlas:
    """The map of one model's embedding: (M,2) ``places`` of the reference images, and how it was made.

    ``overlap`` is the share of the nearest neighbours in all dimensions that are neighbours in the picture, too.
    """

    places: Places
    projection: Projection
    overlap: float


def atlas(of: LoadedModel) -> Atlas:
    """Return the map of a model, fitted once.

    Raises:
        DatasetError: if the test images are not there.
    """
    return _atlas(of, of.digest, of.card.dataset)


@st.cache_resource(show_spinner=False, max_entries=16)
def _atlas(_of: LoadedModel, digest: str, dataset: str) -> Atlas:
    embedding = reference(_of).embedding.cpu()
    projection = Projection.of(embedding)
    places = projection(embedding)
    return Atlas(places.numpy(), projection, knn_overlap(embedding, places, NEIGHBORS))


def way(of: LoadedModel, trace: Trace) -> tuple[Places, list[int]]:
    """Return where the clean image, and those of an attack at some of its steps, lie on a model's map, and the steps.

    The first place is that of the clean image.
    """
    last = len(trace.images) - 1
    steps = sorted({round(step) for step in np.linspace(0, last, min(last + 1, MOST_PLACES))} | {trace.final})
    images = torch.cat([trace.image[None], trace.images[steps]])
    with of.lock:
        found = embed(of.model, of.put(images)).cpu()
    return atlas(of).projection(found).numpy(), steps


@st.cache_data(show_spinner=False, max_entries=4)
def sprite(dataset: str) -> tuple[str, int]:
    """Return small pictures of the reference images as one data: address, and how many stand in a row.

    They are compressed, for a glance; what was attacked is shown elsewhere.
    """
    images = test_images(dataset).images[reference_rows(dataset)]
    columns = math.ceil(math.sqrt(len(images)))
    count, channels, height, width = images.shape
    tiles = torch.zeros(columns * columns, 3, height, width, dtype=torch.uint8)
    tiles[:count] = images.expand(count, 3, height, width) if channels == 1 else images
    sheet = tiles.view(columns, columns, 3, height, width).permute(0, 3, 1, 4, 2).reshape(columns * height, -1, 3)
    buffer = io.BytesIO()
    Image.fromarray(sheet.numpy()).save(buffer, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", columns


def forget_atlases() -> None:
    """Draw all maps anew: the test images are others."""
    _atlas.clear()
    sprite.clear()
