"""Projected gradient descent (Madry et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_settings, check_steps
from lsp_core.attacks.draws import Draws
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.norms import NORMS, per_image
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.types import Norm, OnStep, Precision


@dataclass(frozen=True)
class PGD:
    """Climb the loss by normalised steps of ``alpha``, each projected back into the ball and into [0,1].

    With ``early_stop`` an example that any iterate fools is returned as that iterate and leaves the batch; the others
    are returned at their last iterate. Without it every example takes every step and is returned at its last iterate,
    which is what adversarial training and a trace want. Either way a restart touches no example that an earlier one
    fooled, so that more restarts never help the defender. (For a smaller batch BLAS may sum in another order, so what
    leaves the batch can change the last bits of what stays.)

    Attributes:
        eps: radius in pixel units.
        alpha: step size in pixel units; None means 2.5 * eps / steps, so that the steps can cross the ball (Madry).
        targeted: ``labels`` are the classes to reach instead of the ones to leave.
        momentum: share of the direction so far that each gradient, scaled to mean absolute value 1, is added to
            (Dong et al. 2018); 0 is plain PGD.
        precision: of the passes that look for a way; whether an example is fooled is decided in the images' own.
        seed: of the random starts; an image gets the same in any batch.
    """

    eps: float
    alpha: float | None = None
    steps: int = 10
    norm: Norm = "Linf"
    loss: str = "ce"
    restarts: int = 1
    random_start: bool = True
    targeted: bool = False
    momentum: float = 0.0
    early_stop: bool = True
    precision: Precision = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.eps, self.norm, self.loss, self.targeted, self.random_start)
        check_steps(self.alpha, self.momentum, steps=self.steps, restarts=self.restarts)

    @property
    def step_size(self) -> float:
        """The step that is taken, in pixel units."""
        return 2.5 * self.eps / self.steps if self.alpha is None else self.alpha

    @property
    def passes(self) -> int:
        """The most forward and backward passes that an example can cost."""
        return (2 * self.steps + 1) * self.restarts - 1 + (self.loss == "kl")

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        draws = Draws(images, self.seed)
        pursuit = Pursuit(
            model, images, Goal.of(self.loss, model, images.detach(), labels, self.targeted), on_step, self.precision
        )
        for restart in range(self.restarts):
            start = pursuit.images[pursuit.rows]
            if self.random_start:
                delta = NORMS[self.norm].random(start, self.eps, draws.at(pursuit.rows), restart)
                start = (start + delta).clamp(0, 1)
            self._climb(pursuit, start, restart)
            if len(pursuit.rows) == 0:
                break
        return pursuit.result

    def _climb(self, pursuit: Pursuit, current: Tensor, restart: int) -> None:
        """Run one restart from ``current``, the open examples' start."""
        ball, images, drift = NORMS[self.norm], pursuit.images[pursuit.rows], torch.zeros_like(current)
        for index in range(self.steps + 1):
            last = index == self.steps
            if last and pursuit.on_step is None and restart + 1 == self.restarts:
                pursuit.put(current, None)  # nobody asks what the model says here
                pursuit.flush()
                return
            seen = pursuit.view(current, gradient=not last)
            if pursuit.on_step is not None or last:
                pursuit.put(current, seen.logits)
            stay = pursuit.take(current, seen, last) if self.early_stop or last else None
            pursuit.report(restart, index)
            gradient = seen.gradient
            if gradient is None or len(pursuit.rows) == 0:
                return
            if stay is not None:
                current, gradient, images, drift = current[stay], gradient[stay], images[stay], drift[stay]
            if self.momentum:
                mean = gradient.flatten(1).abs().mean(1).clamp_min(1e-30)
                drift = gradient = self.momentum * drift + gradient / per_image(mean, gradient)
            moved = current + self.step_size * ball.direction(gradient)
            current = (images + ball.project(moved - images, self.eps)).clamp(0, 1)
