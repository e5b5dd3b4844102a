"""What a norm means to an attack: where it starts, which way is steepest, and how far it may go."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Ball(Protocol):
    """The ball of one norm. All tensors are (N,C,H,W) batches."""

    def size(self, delta: Tensor) -> Tensor:
        """Return the norm (N,) of each perturbation."""

    def random(self, like: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """Draw perturbations uniformly from the ball of radius ``eps``."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the unit step that gains most along ``gradient``."""

    def project(self, delta: Tensor, eps: float) -> Tensor:
        """Bring perturbations back into the ball."""


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Shape (N,) so that it broadcasts over the images (N,C,H,W) of ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))


def _blank(like: Tensor) -> Tensor:
    # Numbers are drawn in the order of memory, so that another layout would give every pixel another.
    return torch.empty_like(like, memory_format=torch.contiguous_format)


class Linf:
    """The largest change of any pixel."""

    def size(self, delta: Tensor) -> Tensor:
        """Return the largest absolute entry of each perturbation."""
        return delta.flatten(1).abs().amax(1)

    def random(self, like: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """Draw every pixel uniformly from [-eps, eps]."""
        return _blank(like).uniform_(-1, 1, generator=generator) * eps

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the sign of the gradient."""
        return gradient.sign()

    def project(self, delta: Tensor, eps: float) -> Tensor:
        """Clip every pixel."""
        return delta.clamp(-eps, eps)


class L2:
    """The Euclidean length of the change."""

    def size(self, delta: Tensor) -> Tensor:
        """Return the Euclidean length of each perturbation."""
        return delta.flatten(1).square().sum(1).sqrt()

    def random(self, like: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """Draw uniformly from the ball: a Gaussian direction, and as radius the D-th root of a uniform number."""
        gaussian = _blank(like).normal_(generator=generator)
        uniform = torch.empty(len(like), device=like.device, dtype=like.dtype).uniform_(generator=generator)
        radius = eps * uniform ** (1 / like.shape[1:].numel())
        return self.direction(gaussian) * per_image(radius, like)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the gradient at unit length; a zero gradient stays zero."""
        # The squares of a tiny gradient would vanish, so it is first scaled by a power of two, which rounds nothing.
        exponent = torch.frexp(gradient.flatten(1).abs().amax(1) if gradient.numel() else gradient.flatten(1).sum(1))[1]
        gradient = torch.ldexp(gradient, per_image(-exponent.clamp(-120, 120), gradient))
        return gradient * per_image(1 / self.size(gradient).clamp_min(1e-12), gradient)

    def project(self, delta: Tensor, eps: float) -> Tensor:
        """Shorten what is longer than ``eps``."""
        return delta * per_image((eps / self.size(delta).clamp_min(1e-12)).clamp_max(1), delta)


NORMS: dict[str, Ball] = {"Linf": Linf(), "L2": L2()}
