"""Everything that is kept between reruns and shared between sessions; the only place that names Streamlit's caches."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.audits import SUFFIX, Audited, AuditError, read_audit
from lsp_core import Card, ImageDataset, evaluate, load_checkpoint, load_dataset
from lsp_core.attacks import PGD
from lsp_core.case import embed
from lsp_core.checkpoint import list_checkpoints
from lsp_core.data import DatasetError, spread
from lsp_core.images import DecodedImage, decode_image
from lsp_core.objectives import OBJECTIVES
from lsp_core.records import RecordError, read_records, sha256
from lsp_core.saliency import attribute
from lsp_core.types import Classifier, Record

REFERENCE_SIZE = 1000
USUAL_EPS = 8 / 255


@dataclass(frozen=True)
class Subject:
    """A loaded checkpoint. Hold ``lock`` around every use of ``model``: Captum's hooks change it while they run."""

    name: str
    digest: str
    model: Classifier
    card: Card
    lock: threading.Lock = field(default_factory=threading.Lock)


def folder() -> Path:
    """Return the folder of checkpoints: $LSP_CHECKPOINTS, else ``checkpoints`` beside the app."""
    return Path(os.environ.get("LSP_CHECKPOINTS") or Path(__file__).parent.parent / "checkpoints")


def catalogue() -> tuple[dict[str, Card], dict[str, str]]:
    """Return the cards of all checkpoints by name, and a sentence for each file that is none."""
    return _catalogue(str(folder()), _states("*.safetensors"))


def _states(pattern: str) -> tuple[tuple[str, int], ...]:
    """Return name and time of each file: what changes when the folder does."""
    return tuple((path.name, _modified(path)) for path in sorted(folder().glob(pattern)))


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # a link to nothing, or a file that was just replaced
        return 0


@st.cache_data(show_spinner=False, max_entries=4)
def _catalogue(place: str, states: tuple[tuple[str, int], ...]) -> tuple[dict[str, Card], dict[str, str]]:
    cards, problems = list_checkpoints(place)
    for name, card in list(cards.items()):
        if not _is_drawable(card):
            del cards[name]
            problems[name] = (
                f"{Path(place) / name}.safetensors has a card that cannot be shown: values are missing or odd."
            )
    return cards, problems


def _is_drawable(card: Card) -> bool:
    """Whether what the pages print of a card is there and of the right kind: anybody can write a card."""
    try:
        trained_eps(card)
        shares = [float(card.held_out.get(key, 0)) for key in ("clean_accuracy", "robust_accuracy")]
    except (TypeError, ValueError, OverflowError):
        return False
    return card.objective in OBJECTIVES and all(0 <= share <= 1 for share in shares)


def trained_eps(card: Card) -> float:
    """Return the radius a checkpoint was trained for and is opened at.

    Raises:
        ValueError: if its card has one that is not from 0 to 1.
    """
    eps = float(card.config.get("eps", USUAL_EPS))
    if not 0 <= eps <= 1:
        raise ValueError(f"the card's eps is {eps:g}, but it must be from 0 to 1.")
    return eps


def subject(name: str) -> Subject:
    """Load a checkpoint of the folder; a file that was replaced is loaded anew.

    Raises:
        CheckpointError: if it is none.
    """
    path = folder() / f"{name}.safetensors"
    return _subject(str(path), _modified(path))


@st.cache_resource(show_spinner=False, max_entries=16)
def _subject(path: str, modified: int) -> Subject:
    model, card = load_checkpoint(path)
    digest = hashlib.sha256(f"{path} {modified}".encode()).hexdigest()[:16]
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


def evaluations() -> tuple[dict[str, list[Record]], list[str]]:
    """Return the evaluations beside the checkpoints by name, and a sentence for each file that holds none."""
    states = tuple(state for state in _states("*.json") if not state[0].endswith(SUFFIX))
    return _evaluations(str(folder()), states, _states("*.safetensors"))


@st.cache_data(show_spinner=False, max_entries=4)
def _evaluations(
    place: str, states: tuple[tuple[str, int], ...], weights_states: tuple[tuple[str, int], ...]
) -> tuple[dict[str, list[Record]], list[str]]:
    found: dict[str, list[Record]] = {}
    problems = []
    for name, _ in states:
        try:
            record, weights = read_records(Path(place) / name), (Path(place) / name).with_suffix(".safetensors")
            if weights.is_file() and record.get("sha256") != sha256(weights):
                problems.append(f"{name} was measured on other weights than {weights.name} holds: evaluate it again.")
                continue
            found[Path(name).stem] = record["evaluations"]
        except RecordError as error:
            problems.append(str(error))
    return found, problems


def audits() -> tuple[dict[str, Audited], list[str]]:
    """Return the audits beside the checkpoints by name, and a sentence for each file that holds none of its weights."""
    return _audits(str(folder()), _states(f"*{SUFFIX}"), _states("*.safetensors"))


@st.cache_data(show_spinner=False, max_entries=4)
def _audits(
    place: str, states: tuple[tuple[str, int], ...], weights_states: tuple[tuple[str, int], ...]
) -> tuple[dict[str, Audited], list[str]]:
    found: dict[str, Audited] = {}
    problems = []
    for file, _ in states:
        name = file.removesuffix(SUFFIX)
        weights = Path(place) / f"{name}.safetensors"
        if not weights.is_file():
            continue  # nothing is shown that it could speak of
        try:
            audited = read_audit(Path(place) / file)
            if audited.sha256 != sha256(weights):
                problems.append(f"{file} is an audit of other weights than {weights.name} holds: audit it again.")
                continue
            found[name] = audited
        except AuditError as error:
            problems.append(str(error))
    return found, problems
