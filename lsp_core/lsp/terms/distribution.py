"""The neighbourhood distribution."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lsp_core.lsp.terms.geometry import squared_distances


def distribution(images: Tensor, features: Tensor, anchors: Tensor, k: int, temperature: float) -> Tensor:
    """Keep the neighbourhood distribution: the mean of KL(p_i || q_i) over the batch.

    p(j|i) is the softmax of -|x_i - x_j|^2 / (2 s_i^2) over the other images, with s_i the distance to the k-th
    nearest; q(j|i) the softmax of -|a_i - z_j|^2 / temperature for the anchor a_i: with the eps-ball point as anchor, a
    point of the ball keeps the neighbourhood of its centre.

    Our reading; a relative of stochastic neighbour embedding (Hinton and Roweis 2002).
    """
    count = len(images)
    if count < 3:
        return features.sum() * 0  # with one possible neighbour every distribution is the same
    others = ~torch.eye(count, dtype=torch.bool, device=images.device)
    with torch.no_grad():
        squared = squared_distances(images.flatten(1), images.flatten(1))[others].view(count, count - 1)
        bandwidth = squared.kthvalue(min(k, count - 1), dim=1, keepdim=True).values.clamp_min(1e-6)
        log_p = functional.log_softmax(-squared / (2 * bandwidth), dim=1)
    logits = -squared_distances(anchors, features)[others].view(count, count - 1) / temperature
    return functional.kl_div(functional.log_softmax(logits, dim=1), log_p, log_target=True, reduction="batchmean")
