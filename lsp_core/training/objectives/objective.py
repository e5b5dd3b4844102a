"""What a training objective is to the training loop, and how those that attack do it."""

from __future__ import annotations

from typing import ClassVar, Protocol

from torch import Tensor, nn

from lsp_core.attacks import PGD


class Objective(Protocol):
    """One way to train: which examples are crafted, and what is minimised on them. The loop adds the LSP term to it.

    Attributes:
        needs_clean: whether ``loss`` wants the logits of the images as they are.
        crafts: whether ``craft`` makes adversarial examples, whose logits ``loss`` then gets.
    """

    needs_clean: ClassVar[bool]
    crafts: ClassVar[bool]

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return adversarial examples (N,C,H,W) of the batch within ``eps`` (pixel units) of its images."""

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the scalar to minimise from the logits (N,K) that the objective asked for; the others are None."""


def attacked(model: nn.Module, images: Tensor, labels: Tensor, attack: PGD) -> Tensor:
    """Attack in evaluation mode, so that crafting moves no batch statistics; leave the model in training mode."""
    model.eval()
    adversarial = attack(model, images, labels)
    model.train()
    return adversarial
