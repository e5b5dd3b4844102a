"""What every attack checks before it starts, in one place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsp_core.attacks.losses import LOSSES
from lsp_core.attacks.norms import NORMS
from lsp_core.types import pick


def check_settings(
    eps: float, norm: str, loss: str, *, alpha: float | None = None, steps: int = 1, restarts: int = 1
) -> None:
    """Refuse attack settings that cannot be meant.

    Raises:
        ValueError: naming the setting, what arrived and what is valid.
    """
    pick("norm", norm, NORMS)
    pick("loss", loss, LOSSES)
    if not math.isfinite(eps) or eps < 0 or (norm == "Linf" and eps > 1):
        raise ValueError(f"eps is {eps:g}, but it must be {'from 0 to 1' if norm == 'Linf' else '0 or more'} (pixels).")
    if alpha is not None and not (math.isfinite(alpha) and alpha >= 0):
        raise ValueError(f"alpha is {alpha:g}, but it must be 0 or more (pixels).")
    for name, value in (("steps", steps), ("restarts", restarts)):
        if value < 1:
            raise ValueError(f"{name} is {value}, but it must be 1 or more.")


def check_batch(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Refuse a model or a batch on which an attack would give figures that mean nothing.

    Raises:
        ValueError: naming the argument, what arrived and what is valid.
    """
    if model.training:
        raise ValueError("model is in training mode, so its outputs depend on the batch: call model.eval() first.")
    if images.dim() != 4 or not images.is_floating_point():
        raise ValueError(f"images are {images.dtype} of shape {tuple(images.shape)}, not float of shape (N,C,H,W).")
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}, not int64 of shape ({len(images)},)."
        )
    if len(images) and not (images.amin() >= 0 and images.amax() <= 1):  # written so that NaN fails
        raise ValueError(f"images reach from {images.amin():g} to {images.amax():g}, but they must lie in [0,1].")
