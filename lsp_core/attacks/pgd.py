"""Projected gradient descent (Madry et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_settings
from lsp_core.attacks.losses import LOSSES
from lsp_core.attacks.norms import NORMS
from lsp_core.types import Norm, OnStep, Step


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
        seed: of the random starts; the same seed gives the same images for the same batch.
    """

    eps: float
    alpha: float | None = None
    steps: int = 10
    norm: Norm = "Linf"
    loss: str = "ce"
    restarts: int = 1
    random_start: bool = True
    targeted: bool = False
    early_stop: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.eps, self.norm, self.loss, alpha=self.alpha, steps=self.steps, restarts=self.restarts)

    @property
    def step_size(self) -> float:
        """The step that is taken, in pixel units."""
        return 2.5 * self.eps / self.steps if self.alpha is None else self.alpha

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        generator = torch.Generator(images.device).manual_seed(self.seed)
        result = images.detach().clone()
        open_rows = torch.ones(len(images), dtype=torch.bool, device=images.device)
        for restart in range(self.restarts):
            start = images.detach()
            if self.random_start:
                # Drawn for the whole batch, so that what one example gets never depends on how the others fared.
                start = (start + NORMS[self.norm].random(start, self.eps, generator)).clamp(0, 1)
            self._climb(model, images.detach(), labels, start, restart, result, open_rows, on_step)
            if not open_rows.any():
                break
        return result

    def _climb(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        start: Tensor,
        restart: int,
        result: Tensor,
        open_rows: Tensor,
        on_step: OnStep | None,
    ) -> None:
        """Run one restart; write iterates into ``result`` and close the rows in ``open_rows`` that are fooled."""
        ball, rows = NORMS[self.norm], open_rows.nonzero().squeeze(1)
        result[rows] = start[rows]
        last_matters = on_step is not None or restart + 1 < self.restarts
        for index in range(self.steps + 1):
            current = result[rows]
            if index == self.steps and not last_matters:
                return
            logits, gradient = self._gradient(model, current, labels[rows], needed=index < self.steps)
            if on_step is not None:
                on_step(self._step(model, restart, index, result, rows, logits))
            if self.early_stop or index == self.steps:
                standing = ~self._fooled(logits, labels[rows])
                open_rows[rows[~standing]] = False
                rows, current, gradient = rows[standing], current[standing], gradient[standing]
            if index == self.steps or len(rows) == 0:
                return
            moved = current + self.step_size * ball.direction(gradient)
            moved = images[rows] + ball.project(moved - images[rows], self.eps)
            result[rows] = moved.clamp(0, 1)

    def _gradient(self, model: nn.Module, images: Tensor, labels: Tensor, needed: bool) -> tuple[Tensor, Tensor]:
        """Return the logits and the direction of ascent at ``images``; parameter gradients are left alone."""
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            logits = model(images)
            loss = LOSSES[self.loss](logits, labels).sum()
            gradient = torch.autograd.grad(loss, images)[0] if needed else torch.zeros_like(images)
        return logits.detach(), -gradient if self.targeted else gradient

    def _fooled(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits.argmax(1) == labels) if self.targeted else (logits.argmax(1) != labels)

    def _step(self, model: nn.Module, restart: int, index: int, result: Tensor, rows: Tensor, logits: Tensor) -> Step:
        """Report the whole batch; only examples that left it early cost another forward pass."""
        if len(rows) < len(result):
            with torch.no_grad():
                logits = model(result)
        return Step(restart, index, result.clone(), logits)
