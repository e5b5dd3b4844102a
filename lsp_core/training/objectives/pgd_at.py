"""Adversarial training with PGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from lsp_core.attacks import PGD
from lsp_core.training.objectives.objective import attacked


@dataclass(frozen=True)
class PGDAT:
    """Adversarial training with PGD (Madry et al. 2018): cross-entropy on adversarial examples only.

    They are crafted with the model in evaluation mode, from a random start, with all steps taken.
    """

    steps: int
    smoothing: float = 0.0
    needs_clean: ClassVar[bool] = False
    crafts: ClassVar[bool] = True

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return PGD examples of radius ``eps``; the model is left in training mode."""
        return attacked(model, images, labels, PGD(eps, steps=self.steps, early_stop=False, seed=seed))

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the adversarial logits."""
        assert adversarial is not None
        return functional.cross_entropy(adversarial, labels, label_smoothing=self.smoothing)
