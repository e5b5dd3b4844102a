"""What a norm means to an attack: where it starts, which way is steepest, and how far it may go."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from lsp_core.attacks.draws import Draws

Radius = float | Tensor  # of all images, or (N,) one each


class Ball(Protocol):
    """The ball of one norm. All tensors are (N,C,H,W) batches."""

    def size(self, delta: Tensor) -> Tensor:
        """Return the norm (N,) of each perturbation."""

    def random(self, like: Tensor, eps: float, draws: Draws, turn: int = 0) -> Tensor:
        """Draw perturbations uniformly from the ball of radius ``eps``, each from its own image's numbers."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the unit step that gains most along ``gradient``."""

    def project(self, delta: Tensor, eps: Radius) -> Tensor:
        """Bring perturbations back into the ball."""


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Shape (N,) so that it broadcasts over the images (N,C,H,W) of ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))


class Linf:
    """The largest change of any pixel."""

    def size(self, delta: Tensor) -> Tensor:
        """Return the largest absolute entry of each perturbation."""
        return delta.flatten(1).abs().amax(1)

    def random(self, like: Tensor, eps: float, draws: Draws, turn: int = 0) -> Tensor:
        """Draw every pixel uniformly from [-eps, eps]."""
        return ((2 * draws.uniform(like.shape[1:].numel(), turn) - 1) * eps).view(like.shape).to(like.dtype)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the sign of the gradient."""
        return gradient.sign()

    def project(self, delta: Tensor, eps: Radius) -> Tensor:
        """Clip every pixel."""
        if isinstance(eps, Tensor):
            bound = per_image(eps, delta)
            return delta.clamp(-bound, bound)
        return delta.clamp(-eps, eps)


class L2:
    """The Euclidean length of the change."""

    def size(self, delta: Tensor) -> Tensor:
        """Return the Euclidean length of each perturbation."""
        return delta.flatten(1).square().sum(1).sqrt()

    def random(self, like: Tensor, eps: float, draws: Draws, turn: int = 0) -> Tensor:
        """Draw uniformly from the ball: a Gaussian direction, and as radius the D-th root of a uniform number."""
        size = like.shape[1:].numel()
        numbers = draws.normal(size + 1, turn)
        radius = eps * torch.special.ndtr(numbers[:, -1]) ** (1 / size)  # uniform again
        return (self.direction(numbers[:, :-1].reshape(like.shape)) * per_image(radius, like)).to(like.dtype)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the gradient at unit length; a zero gradient stays zero."""
        # The squares of a tiny gradient would vanish, so it is first scaled by a power of two, which rounds nothing.
        exponent = torch.frexp(gradient.flatten(1).abs().amax(1) if gradient.numel() else gradient.flatten(1).sum(1))[1]
        gradient = torch.ldexp(gradient, per_image(-exponent.clamp(-120, 120), gradient))
        return gradient * per_image(1 / self.size(gradient).clamp_min(1e-12), gradient)

    def project(self, delta: Tensor, eps: Radius) -> Tensor:
        """Shorten what is longer than ``eps``."""
        return delta * per_image((eps / self.size(delta).clamp_min(1e-12)).clamp_max(1), delta)


NORMS: dict[str, Ball] = {"Linf": Linf(), "L2": L2()}
