"""What is kept between reruns and shared between sessions: models, images, and what was worked out of them."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.state.shelf import folder, modified
from lsp_core import Card, ImageDataset, evaluate, load_checkpoint, load_dataset
from lsp_core.attacks import PGD
from lsp_core.data import DatasetError, spread
from lsp_core.data.images import DecodedImage, decode_image
from lsp_core.explain.saliency import attribute
from lsp_core.explain.trace import embed
from lsp_core.types import Classifier

REFERENCE_SIZE = 1000


@dataclass(frozen=True)
class Subject:
    """A loaded checkpoint. Hold ``lock`` around every use of ``model``: Captum's hooks change it while they run."""

    name: str
    digest: str
    model: Classifier
    card: Card
    lock: threading.Lock = field(default_factory=threading.Lock)


def subject(name: str) -> Subject:
    """Load a checkpoint of the folder; a file that was replaced is loaded anew.

    Raises:
        CheckpointError: if it is none.
    """
    path = folder() / f"{name}.safetensors"
    return _subject(str(path), modified(path))


@st.cache_resource(show_spinner=False, max_entries=16)
def _subject(path: str, written: int) -> Subject:
    model, card = load_checkpoint(path)
    digest = hashlib.sha256(f"{path} {written}".encode()).hexdigest()[:16]
    return Subject(Path(path).stem, digest, model, card)


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
def reference(name: str) -> Tensor:
    """Return the rows of the test images that neighbours are looked for among: the same for every model."""
    return spread(test_images(name).labels, REFERENCE_SIZE)


@st.cache_resource(show_spinner=False, max_entries=16)
def _embedding(_subject: Subject, digest: str, dataset: str) -> Tensor:
    images = test_images(dataset).float(reference(dataset))
    with _subject.lock:
        return embed(_subject.model, images)


def reference_embedding(of: Subject) -> Tensor:
    """Return the unit-length embeddings (M,D) of the reference images."""
    return _embedding(of, of.digest, of.card.dataset)


@st.cache_resource(show_spinner=False)
def worker() -> ThreadPoolExecutor:
    """Return the one thread that attacks: two cores are shared best by one attack at a time."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="attack")


@st.cache_data(show_spinner=False, max_entries=8)
def gallery_rows(dataset: str) -> list[int]:
    """Return the test images of the gallery: two of each class, of at most ten classes."""
    data = test_images(dataset)
    classes = min(10, len(data.classes))
    return [int(row) for row in spread(data.labels, 2 * len(data.classes)) if int(data.labels[row]) < classes]


def gallery_outcome(of: Subject, attack: PGD) -> list[bool]:
    """Return which images of the gallery the model gets right before and after the attack."""
    return _gallery_outcome(of, of.digest, attack)


@st.cache_data(show_spinner="Trying the gallery's images …", max_entries=64, hash_funcs={PGD: repr})
def _gallery_outcome(_subject: Subject, digest: str, attack: PGD) -> list[bool]:
    data, rows = test_images(_subject.card.dataset), torch.tensor(gallery_rows(_subject.card.dataset))
    with _subject.lock:
        result = evaluate(_subject.model, data.float(rows), data.labels[rows], replace(attack, early_stop=True))
    return [bool(value) for value in result.robust_correct]


@st.cache_data(show_spinner=False, max_entries=4)
def decoded(content: bytes) -> DecodedImage:
    """Decode an upload once, not at every rerun.

    Raises:
        ImageError: as ``decode_image``.
    """
    return decode_image(content)


@st.cache_data(show_spinner=False, max_entries=256)
def saliency_maps(
    _subject: Subject, _images: Tensor, targets: tuple[int, ...], method: str, key: str
) -> NDArray[np.float32]:
    """Return signed saliency maps (N,H,W). ``key`` stands for model and images in the cache.

    Raises:
        ValueError: if the method is unknown.
    """
    with _subject.lock:
        return attribute(_subject.model, _images, torch.tensor(targets), method).numpy()
