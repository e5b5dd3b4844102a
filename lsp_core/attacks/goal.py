"""What an attack wants of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.losses import LOSSES, TARGETED


@dataclass(frozen=True)
class Goal:
    """Which value (N,) to raise, and when an example counts as fooled.

    Attributes:
        loss: one of ``LOSSES``.
        labels: (N,) the classes to leave or, if ``targeted``, to reach.
        towards: (N,) classes whose loss is lowered to leave the label; any other class will do all the same.
        clean: (N,K) logits of the clean images, which the loss ``kl`` moves away from.
    """

    loss: str
    labels: Tensor
    targeted: bool = False
    towards: Tensor | None = None
    clean: Tensor | None = None

    @classmethod
    def of(cls, loss: str, model: nn.Module, images: Tensor, labels: Tensor, targeted: bool) -> Goal:
        """Return the goal for a batch; only ``kl`` costs a forward pass."""
        if loss != "kl":
            return cls(loss, labels, targeted)
        with torch.no_grad():
            return cls(loss, labels, targeted, clean=model(images))

    def value(self, logits: Tensor) -> Tensor:
        """Return what the attack raises, (N,)."""
        if self.clean is not None:
            return LOSSES[self.loss](logits, self.clean)
        reach = self.labels if self.targeted else self.towards
        return LOSSES[self.loss](logits, self.labels) if reach is None else TARGETED[self.loss](logits, reach)

    def fooled(self, logits: Tensor) -> Tensor:
        """Return which examples (N,) have left their label, or reached their target."""
        guess = logits.argmax(1)
        return guess == self.labels if self.targeted else guess != self.labels

    @classmethod
    def joined(cls, goals: Sequence[Goal]) -> Goal:
        """Return the goal of several batches that follow each other, alike but for their tensors."""
        towards = [goal.towards for goal in goals if goal.towards is not None]
        clean = [goal.clean for goal in goals if goal.clean is not None]
        return dataclasses.replace(
            goals[0],
            labels=torch.cat([goal.labels for goal in goals]),
            towards=torch.cat(towards) if towards else None,
            clean=torch.cat(clean) if clean else None,
        )

    def at(self, rows: Tensor) -> Goal:
        """Return the goal of some of the examples."""
        towards = None if self.towards is None else self.towards[rows]
        clean = None if self.clean is None else self.clean[rows]
        return dataclasses.replace(self, labels=self.labels[rows], towards=towards, clean=clean)
