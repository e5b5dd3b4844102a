"""Several attacks in sequence, each on what the ones before left standing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_logits, check_untargeted, passes
from lsp_core.attacks.describe import label
from lsp_core.attacks.losses import margin
from lsp_core.types import Attack, Norm, OnStep, Step


@dataclass(frozen=True)
class Ensemble:
    """The worst case of several attacks, per example; cheap ones first save the most.

    Attributes:
        reach: for each attack how far the ones before must have brought an example for it to be tried: the share of
            the margin that they took away, 0 none of it and 1 all. (): every attack tries all that still stand.

    Raises:
        ValueError: if there is no attack, they differ in norm or eps, one is targeted, or reach does not fit them.
    """

    attacks: tuple[Attack, ...]
    reach: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.reach and len(self.reach) != len(self.attacks):
            raise ValueError(f"reach has {len(self.reach)} numbers for {len(self.attacks)} attacks: give one for each.")
        if not all(0 <= share <= 1 for share in self.reach):
            raise ValueError(f"reach is {self.reach}, but each share must be from 0 to 1.")
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
        return 1 + sum(passes(attack) + 1 for attack in self.attacks)  # one to see who is left

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        An example is returned as what fooled it, or as what the last attack made of it. To ``on_step`` the place in
        the sequence is the ``restart``.

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        result = images.detach().clone()
        with torch.no_grad():
            logits = model(result)
        check_logits(logits, labels)
        before, share, standing = margin(logits, labels), torch.zeros_like(logits[:, 0]), torch.ones_like(labels) > 0
        for place, attack in enumerate(self.attacks):
            rows = (standing & (share >= self.least(place))).nonzero().squeeze(1)
            if len(rows) == 0:
                continue

            def relay(step: Step, place: int = place, rows: Tensor = rows) -> None:
                result[rows], logits[rows] = step.images, step.logits
                if on_step is not None:
                    on_step(Step(place, step.number, result.clone(), logits.clone()))

            result[rows] = attack(model, images[rows], labels[rows], on_step=relay if on_step else None)
            with torch.no_grad():
                logits[rows] = model(result[rows])
            check_logits(logits[rows], labels[rows])
            standing[rows] = logits[rows].argmax(1) == labels[rows]
            share[rows] = share[rows].maximum(way(before[rows], margin(logits[rows], labels[rows])))
        return result

    def least(self, place: int) -> float:
        """Return the share of the way that an example must have been brought for the attack at ``place`` to try it."""
        return self.reach[place] if self.reach else 0.0


def way(before: Tensor, after: Tensor) -> Tensor:
    """Return how far an attack has brought examples (N,) towards another class, from their margins before and after.

    >>> way(torch.tensor([-4.0, -4.0, -4.0]), torch.tensor([-1.0, -5.0, 2.0]))
    tensor([0.7500, 0.0000, 1.0000])
    """
    return ((before - after) / before.clamp_max(-1e-12)).clamp(0, 1)
