"""The weights that rebuild an image from its nearest."""

from __future__ import annotations

import torch
from torch import Tensor

from lsp_core.lsp.terms.geometry import nearest

RIDGE = 1e-3  # share of the trace that makes the weights of a reconstruction unique (as in scikit-learn's LLE)


def reconstruction(images: Tensor, features: Tensor, anchors: Tensor, k: int, _temperature: float) -> Tensor:
    """Keep the weights that rebuild x from its k nearest: the mean of |a_i - sum_j w_ij z_j|^2.

    The weights of image i minimise |x_i - sum_j w_ij x_j|^2 with sum 1, and a ridge of 0.001 times the trace.

    Our reading; a relative of locally linear embedding (Roweis and Saul 2000).
    """
    if len(images) < 2:
        return features.sum() * 0
    with torch.no_grad():
        near = nearest(images, k)[1]
        weights = barycentre(images.flatten(1), near).to(features.dtype)
    rebuilt = (weights[..., None] * features[near]).sum(1)
    return (anchors - rebuilt).square().sum(1).mean()


def barycentre(rows: Tensor, near: Tensor) -> Tensor:
    """Return the weights (N,k) that rebuild each of ``rows`` (N,D) from those that ``near`` (N,k) names."""
    offsets = (rows[near] - rows[:, None]).double()
    gram = offsets @ offsets.transpose(1, 2)
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    ridge = torch.where(trace > 0, RIDGE * trace, RIDGE)  # duplicates alone: any weights will do, so equal ones
    gram = gram + torch.diag_embed(ridge[:, None].expand(-1, near.shape[1]))
    weights: Tensor = torch.linalg.solve(gram, torch.ones_like(gram[..., 0]))
    return weights / weights.sum(1, keepdim=True)
