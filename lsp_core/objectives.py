"""Training objectives: which examples are crafted, and what is minimised on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor, nn
from torch.nn import functional

from lsp_core.attacks import PGD


class Objective(Protocol):
    """One way to train; the structure term is added to it by the training loop."""

    needs_clean: ClassVar[bool]
    crafts: ClassVar[bool]

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return adversarial examples of the batch, if the objective crafts any."""

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the scalar to minimise from the logits (N,K) that it needs."""


@dataclass(frozen=True)
class Standard:
    """Cross-entropy on the images as they are."""

    needs_clean: ClassVar[bool] = True
    crafts: ClassVar[bool] = False

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return the images: nothing is crafted."""
        return images

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the clean logits."""
        assert clean is not None
        return functional.cross_entropy(clean, labels)


@dataclass(frozen=True)
class PGDAT:
    """Adversarial training with PGD (Madry et al. 2018): cross-entropy on adversarial examples only.

    They are crafted with the model in evaluation mode, from a random start, with all steps taken.
    """

    steps: int
    needs_clean: ClassVar[bool] = False
    crafts: ClassVar[bool] = True

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return PGD examples of radius ``eps``; the model is left in training mode."""
        model.eval()
        adversarial = PGD(eps, steps=self.steps, early_stop=False, seed=seed)(model, images, labels)
        model.train()
        return adversarial

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the adversarial logits."""
        assert adversarial is not None
        return functional.cross_entropy(adversarial, labels)


OBJECTIVES: dict[str, Callable[[int], Objective]] = {"standard": lambda steps: Standard(), "pgd-at": PGDAT}
