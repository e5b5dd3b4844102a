"""Adversarial training with one step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lsp_core.attacks import PGD
from lsp_core.training.objectives.objective import attacked
from lsp_core.training.objectives.pgd_at import PGDAT


@dataclass(frozen=True)
class FastAT(PGDAT):
    """Adversarial training with one long step from a random start (Wong et al. 2020).

    It can collapse within an epoch: the held-out PGD accuracy, by which the best epoch is chosen, then shows it.
    """

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return examples of one step of 1.25 ``eps``; the model is left in training mode."""
        return attacked(model, images, labels, PGD(eps, 1.25 * eps, steps=1, early_stop=False, seed=seed))
