"""Attack one model with what fools another."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, passes
from lsp_core.attacks.describe import label
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.types import Attack, Norm, OnStep, Step


@dataclass(frozen=True)
class Transfer:
    """Run ``attack`` on ``source`` and try every iterate on the model; its gradients are never used.

    An example is returned as the first iterate that fools the model, the others as the last iterate. Source: Papernot
    et al. 2016. The attack should not stop where its source is fooled: give it ``early_stop=False`` if it has that.

    Attributes:
        source: another classifier of the same images and classes, in evaluation mode.
        name: what to call the source in a report.
    """

    attack: Attack
    source: nn.Module
    name: str = ""

    @property
    def label(self) -> str:
        """What people call it: the attack and its source."""
        return f"{label(self.attack)} from {self.name or type(self.source).__name__}"

    @property
    def norm(self) -> Norm:
        """The norm that bounds the perturbation."""
        return self.attack.norm

    @property
    def eps(self) -> float:
        """The radius in pixel units."""
        return self.attack.eps

    @property
    def passes(self) -> int:
        """The most forward passes that an example can cost the model that is attacked."""
        return passes(self.attack)  # as many iterates as that, if it takes no gradient

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if a model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        targeted = bool(getattr(self.attack, "targeted", False))
        pursuit = Pursuit(model, images, Goal("ce", labels, targeted), on_step)

        def try_on_model(step: Step) -> None:
            if len(pursuit.rows):
                current = step.images[pursuit.rows]
                seen = pursuit.view(current, gradient=False)
                pursuit.put(current, seen.logits)
                pursuit.take(current, seen, last=True)
            pursuit.report(step.restart, step.number)

        self.attack(self.source, images, labels, on_step=try_on_model)
        return pursuit.result
