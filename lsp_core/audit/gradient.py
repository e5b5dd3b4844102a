"""Whether a model has a gradient, and what stands for one that has none."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Disconnected(nn.Module):
    """A model whose logits do not depend on its input in the eyes of autograd: the gradient is zero, not an error."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N,K), unchanged."""
        logits: Tensor = self.model(images).detach().clone() + 0 * images.flatten(1).sum(1, keepdim=True)
        return logits


def reaches_pixels(model: nn.Module, images: Tensor) -> bool:
    """Return whether a gradient of the logits reaches the pixels at all."""
    with torch.enable_grad():
        images = images.detach().clone().requires_grad_()
        logits: Tensor = model(images)
        if not logits.requires_grad:
            return False
        return torch.autograd.grad(logits.sum(), images, allow_unused=True)[0] is not None
