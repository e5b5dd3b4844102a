"""Several attacks in sequence, each on what the ones before left standing."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_untargeted, passes
from lsp_core.attacks.describe import label
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.types import Attack, Norm, OnStep, Step


@dataclass(frozen=True)
class Ensemble:
    """The worst case of several attacks, per example; cheap ones first save the most.

    Raises:
        ValueError: if there is no attack, they differ in norm or eps, or one is targeted.
    """

    attacks: tuple[Attack, ...]

    def __post_init__(self) -> None:
        found = {(attack.norm, attack.eps) for attack in self.attacks}
        if len(found) != 1:
            shown = ", ".join(f"{norm} {eps:g}" for norm, eps in sorted(found)) or "none"
            raise ValueError(f"attacks must be one or more that share norm and eps, but they have {shown}.")
        for attack in self.attacks:
            check_untargeted(attack, "an ensemble")

    @property
    def label(self) -> str:
        """What people call it: the attacks in their order."""
        return " + ".join(map(label, self.attacks))

    @property
    def norm(self) -> Norm:
        """The norm that bounds the perturbation."""
        return self.attacks[0].norm

    @property
    def eps(self) -> float:
        """The radius in pixel units."""
        return self.attacks[0].eps

    @property
    def passes(self) -> int:
        """The most forward and backward passes that an example can cost."""
        return sum(passes(attack) + 1 for attack in self.attacks)  # one to see who is left

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        An example is returned as what fooled it, or as what the last attack made of it. To ``on_step`` the place in
        the sequence is the ``restart``.

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        pursuit = Pursuit(model, images, Goal("ce", labels), on_step)
        for index, attack in enumerate(self.attacks):

            def relay(step: Step, index: int = index) -> None:
                pursuit.put(step.images, step.logits)
                pursuit.report(index, step.number)

            rows = pursuit.rows
            found = attack(model, pursuit.images[rows], labels[rows], on_step=relay if on_step else None)
            seen = pursuit.view(found, gradient=False)
            pursuit.put(found, seen.logits)
            pursuit.take(found, seen, last=True)
            if len(pursuit.rows) == 0:
                break
        return pursuit.result
