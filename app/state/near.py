"""Who is near an image, among the reference images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from app.state.images import reference_rows
from app.state.models import LoadedModel
from app.state.worked import reference
from lsp_core.explain.neighborhood import Neighborhood, compare_neighborhoods, embed
from lsp_core.explain.trace import Trace
from lsp_core.neighborhoods import knn_others

NEIGHBORS = 8
MOST_STEPS = 30  # of an attack, at which its neighbours are looked for


def neighborhood(of: LoadedModel, clean: Tensor, attacked: Tensor, rows: Tensor) -> Neighborhood:
    """Find the nearest reference images of images (N,C,H,W), before and after an attack on a model.

    Args:
        of: the model.
        clean: the images.
        attacked: what became of each.
        rows: (N,) which test images they are, -1 of one that is none: nothing is its own neighbour.

    Returns:
        The neighbourhood, in the processor's memory.

    Raises:
        DatasetError: if the test images are not there.
        ValueError: if embeddings are not finite.
    """
    among = reference(of)
    own, k = of.put(places(of.card.dataset, rows)), min(NEIGHBORS, len(among.pixels) - 1)
    with of.lock:
        found = compare_neighborhoods(of.model, of.put(clean), of.put(attacked), among, k, own)
    return found.cpu()


@dataclass(frozen=True)
class Passage:
    """Who is near an image at some of the steps of an attack: (T,k) ``indices`` of reference images, nearest first."""

    steps: list[int]
    indices: Tensor


def passage(of: LoadedModel, trace: Trace, row: Tensor) -> Passage:
    """Find the nearest reference images in a model's embedding at steps of an attack on it, its outcome among them.

    Raises:
        DatasetError: if the test images are not there.
        ValueError: if embeddings are not finite.
    """
    last = len(trace.images) - 1
    steps = sorted({round(step * last / MOST_STEPS) for step in range(MOST_STEPS + 1)} | {trace.final})
    among = reference(of)
    k, own = min(NEIGHBORS, len(among.pixels) - 1), of.put(places(of.card.dataset, row)).expand(len(steps))
    with of.lock:
        embedding = embed(of.model, of.put(trace.images[steps]))
    return Passage(steps, knn_others(among.embedding, k, embedding, own).indices.cpu())


def places(dataset: str, rows: Tensor) -> Tensor:
    """Return the places (N,) of test images among the reference images; -1 of one that is not there."""
    same = rows[:, None] == reference_rows(dataset)[None]
    return same.int().argmax(1).where(same.any(1), -1)
