"""How much of the neighbourhoods a model keeps, before and under attack."""

from __future__ import annotations

import torch
from torch import Tensor

from lsp_core.lsp.terms.geometry import unit
from lsp_core.neighborhoods import continuity, knn, knn_overlap, trustworthiness
from lsp_core.types import Classifier, Record

K = 10


def preservation(
    model: Classifier, images: Tensor, adversarial: Tensor, k: int = K, *, unit_length: bool = False
) -> Record:
    """Compare the neighbourhoods of images (N,C,H,W) in pixels with those of their embeddings, clean and attacked.

    At ``unit_length`` only the directions of embeddings count, as they do in the structure terms.

    Returns:
        ``k``, ``n``; ``clean`` and ``adversarial``, each with ``trustworthiness``, ``continuity`` and ``knn_overlap``
        of the clean pixels and that embedding; and ``kept``: the mean share of an image's k nearest clean images in
        the embedding that are still its k nearest when it, and nothing else, has been attacked.
    """
    with torch.no_grad():
        clean, moved = (
            torch.cat([model.features(batch) for batch in group.split(128)]).float() for group in (images, adversarial)
        )
    if unit_length:
        clean, moved = unit(clean), unit(moved)
    pixels = images.flatten(1)
    result: Record = {"k": k, "n": len(images)}
    for name, embedding in (("clean", clean), ("adversarial", moved)):
        result[name] = {
            metric.__name__: metric(pixels, embedding, k) for metric in (trustworthiness, continuity, knn_overlap)
        }
    return {**result, "kept": _kept(clean, moved, k)}


def _kept(clean: Tensor, moved: Tensor, k: int) -> float:
    before = knn(clean, k).indices
    # An attacked image may lie nearest to its own clean self, which is not one of its neighbours.
    after = knn(clean, k + 1, queries=moved).indices
    itself = after == torch.arange(len(clean), device=clean.device)[:, None]
    itself[:, -1] |= ~itself.any(1)
    after = after[~itself].view(len(clean), k)
    return (before[:, :, None] == after[:, None, :]).any(2).double().mean().item()
