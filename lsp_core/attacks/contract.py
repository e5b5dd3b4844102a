"""What every attack checks before it starts, in one place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsp_core.attacks.losses import LOSSES
from lsp_core.attacks.norms import NORMS
from lsp_core.types import Attack, pick


def check_settings(eps: float, norm: str, loss: str = "ce", targeted: bool = False, random_start: bool = True) -> None:
    """Refuse a threat model or a goal that cannot be meant.

    Raises:
        ValueError: naming the setting, what arrived and what is valid.
    """
    pick("norm", norm, NORMS)
    pick("loss", loss, LOSSES)
    if not math.isfinite(eps) or eps < 0 or (norm == "Linf" and eps > 1):
        raise ValueError(f"eps is {eps:g}, but it must be {'from 0 to 1' if norm == 'Linf' else '0 or more'} (pixels).")
    if loss == "kl" and targeted:
        raise ValueError("loss is kl, which leaves the clean prediction and knows no target: choose ce, margin or dlr.")
    if loss == "kl" and not random_start:
        raise ValueError("loss is kl, whose gradient is zero at the image itself: it needs a random start.")


def check_steps(alpha: float | None = None, momentum: float = 0.0, **counts: int) -> None:
    """Refuse step settings that cannot be meant; ``counts`` are those that must be 1 or more.

    Raises:
        ValueError: naming the setting, what arrived and what is valid.
    """
    if alpha is not None and not (math.isfinite(alpha) and alpha >= 0):
        raise ValueError(f"alpha is {alpha:g}, but it must be 0 or more (pixels).")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum is {momentum:g}, but it must be from 0 to 1.")
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}, but it must be 1 or more.")


def passes(attack: Attack) -> int:
    """Return the most forward and backward passes that an example can cost; one of each if the attack does not say."""
    return int(getattr(attack, "passes", 2))


def alone(attack: Attack) -> bool:
    """Return whether an attack must not run beside another, as one does that draws from torch's global generator."""
    return any(getattr(part, "alone", False) for part in _inside(attack))


def _inside(attack: Attack) -> tuple[Attack, ...]:
    """Return an attack and those that it is made of."""
    return (attack, *filter(None, [getattr(attack, "attack", None)]), *getattr(attack, "attacks", ()))


def check_untargeted(attack: Attack, who: str) -> None:
    """Refuse an attack whose labels are the classes to reach, where ``who`` counts the images that keep their label.

    Its failures would count as robustness, and the label of an image is no target that its own model has to be led to.

    Raises:
        ValueError: if the attack, or one inside it, is targeted.
    """
    if any(getattr(part, "targeted", False) for part in _inside(attack)):
        raise ValueError(
            f"attack is targeted, but {who} asks only whether an image has left its label: give targeted=False "
            "(APGD with targets=9 goes for one wrong class after another and still asks that)."
        )


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


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Refuse what no loss and no accuracy can be computed from.

    Raises:
        ValueError: if the logits are not (N,K) and finite, or the labels (N,) not from 0 to K - 1.
    """
    if logits.dim() != 2 or len(logits) != len(labels):
        raise ValueError(f"model returns shape {tuple(logits.shape)} for {len(labels)} images, not (N,K) logits.")
    if not logits.isfinite().all():  # argmax takes NaN for the largest, so a broken model could pass for a robust one
        raise ValueError("model returns logits that are not finite, so no accuracy of it means anything.")
    if len(labels) and not (labels.amin() >= 0 and labels.amax() < logits.shape[1]):
        raise ValueError(
            f"labels reach from {int(labels.amin())} to {int(labels.amax())}, but the model has the classes 0 to "
            f"{logits.shape[1] - 1}."
        )
