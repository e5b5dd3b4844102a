"""What we measure ourselves against: another library's PGD, and PGD as it is written in fifteen lines."""

from __future__ import annotations

import importlib.util
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional


def need(library: str) -> None:
    """Refuse to go on without a library that only the bench needs.

    Raises:
        ValueError: if it is not installed.
    """
    if importlib.util.find_spec(library) is None:
        raise ValueError(f"bench needs {library} to measure against, but it is not installed: pip install {library}.")


def foolbox_fooled(model: nn.Module, images: Tensor, labels: Tensor, eps: float, alpha: float, steps: int) -> Tensor:
    """Return which images (N,) bool foolbox's LinfPGD fools, from the image itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is older than the torch and numpy here
        # Not needed by anything else here, and not on every machine.
        from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
        from foolbox.models.pytorch import PyTorchModel

        wrapped = PyTorchModel(model, bounds=(0, 1), device=images.device)
        attack = LinfProjectedGradientDescentAttack(abs_stepsize=alpha, steps=steps, random_start=False)
        fooled: Tensor = attack(wrapped, images, labels, epsilons=eps)[2]
    return fooled


def plain_fooled(model: nn.Module, images: Tensor, labels: Tensor, eps: float, alpha: float, steps: int) -> Tensor:
    """Return which images (N,) bool a plain PGD loop fools: every image, every step, no check of anything."""
    current = images.clone()
    for _ in range(steps):
        gradient = input_gradient(model, current, labels)
        moved = current + alpha * gradient.sign()
        current = (images + (moved - images).clamp(-eps, eps)).clamp(0, 1)
    with torch.no_grad():
        fooled: Tensor = model(current).argmax(1) != labels
    return fooled


def input_gradient(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient (N,C,H,W) of the summed cross-entropy: the one forward and one backward pass of a step."""
    current = images.detach().requires_grad_()
    loss = functional.cross_entropy(model(current).float(), labels, reduction="sum")
    return torch.autograd.grad(loss, current)[0]
