"""Distances within a batch, and embeddings at unit length."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest(images: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return squared distances (N,k) to the k nearest other images, in order, and their rows; k is at most N - 1."""
    flat = images.flatten(1)
    squared = squared_distances(flat, flat).fill_diagonal_(torch.inf)
    found = squared.topk(min(k, len(images) - 1), dim=1, largest=False)
    return found.values, found.indices


def unit(features: Tensor) -> Tensor:
    """Return embeddings at unit length; the constant bounds the gradient where an embedding is zero."""
    return features * (features.square().sum(1, keepdim=True) + 1e-6).rsqrt()


def squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Return (N,M); unlike the distance its square has a gradient everywhere, also between duplicates."""
    squared = rows.square().sum(1)[:, None] + columns.square().sum(1)[None] - 2 * rows @ columns.T
    return squared.clamp_min(0)
