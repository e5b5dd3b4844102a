"""The nearness to the nearest."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lsp_core.lsp.terms.geometry import nearest


def laplacian(images: Tensor, features: Tensor, anchors: Tensor, k: int, _temperature: float) -> Tensor:
    """Keep near what is near: the mean of sum_j w_ij |a_i - z_j|^2.

    j runs over the k nearest images, w_ij is the heat kernel exp(-|x_i - x_j|^2 / (2 s_i^2)) with s_i the distance to
    the k-th, and each row of w sums to 1.

    Our reading; a relative of Laplacian eigenmaps (Belkin and Niyogi 2003), whose bandwidth is one number.
    """
    if len(images) < 2:
        return features.sum() * 0
    with torch.no_grad():
        squared, near = nearest(images, k)
        weights = functional.softmax(-squared / (2 * squared[:, -1:].clamp_min(1e-6)), dim=1)
    return (weights * (anchors[:, None] - features[near]).square().sum(2)).sum(1).mean()
