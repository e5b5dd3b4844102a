"""The proportions of the distances to the nearest."""

from __future__ import annotations

import torch
from torch import Tensor

from lsp_core.lsp.terms.geometry import nearest

TINY = 1e-6  # beside the mean distance, and beside the variance of distances relative to it
LEAST = 3  # two distances correlate wholly, whatever they are


def correlation(images: Tensor, features: Tensor, anchors: Tensor, k: int, _temperature: float) -> Tensor:
    """Keep distances in proportion: the mean of 1 - r_i over the batch.

    r_i is Pearson's correlation, over the k nearest images j, of |x_i - x_j|^2 and |a_i - z_j|^2. Nothing need come
    together, and the scale of an embedding does not matter.

    Our reading; a relative of local multidimensional scaling (Chen and Buja 2009).
    """
    if min(k, len(images) - 1) < LEAST:
        return features.sum() * 0
    with torch.no_grad():
        squared, near = nearest(images, k)
        pixels = _relative(squared)
    moved = _relative((anchors[:, None] - features[near]).square().sum(2))
    spread = (pixels.square().sum(1) + TINY) * (moved.square().sum(1) + TINY)
    return 1 - ((pixels * moved).sum(1) * spread.rsqrt()).mean()


def _relative(squared: Tensor) -> Tensor:
    """Return distances (N,k) relative to the mean of their row, less that mean."""
    mean = squared.mean(1, keepdim=True)
    return (squared - mean) / (mean + TINY)
