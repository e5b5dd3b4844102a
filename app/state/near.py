"""Who is near an image, among the reference images."""

from __future__ import annotations

from torch import Tensor

from app.state.images import reference_rows
from app.state.models import LoadedModel
from app.state.worked import reference
from lsp_core.explain.neighborhood import Neighborhood, compare_neighborhoods

NEIGHBORS = 8


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


def places(dataset: str, rows: Tensor) -> Tensor:
    """Return the places (N,) of test images among the reference images; -1 of one that is not there."""
    same = rows[:, None] == reference_rows(dataset)[None]
    return same.int().argmax(1).where(same.any(1), -1)
