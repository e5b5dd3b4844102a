"""What one attack did, iterate by iterate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.losses import margin
from lsp_core.attacks.norms import NORMS
from lsp_core.types import Attack, Step


@dataclass(frozen=True)
class Attempt:
    """One attack on M images that the model gets right.

    Attributes:
        survived: (M,) bool; the image that came back is still classified right when the model is asked once more.
        fooled: (T,M) bool, of every iterate that the attack showed.
        margins: (T,M) best other logit minus the label's, of every iterate.
        restarts: (T,) the restart that each iterate belongs to.
        excess: the furthest that an image moved beyond eps, in the units of the norm, or left [0,1]; below 0 if none.
    """

    survived: Tensor
    fooled: Tensor
    margins: Tensor
    restarts: Tensor
    excess: float = 0.0

    @property
    def correct(self) -> int:
        """The number of images that are still right."""
        return int(self.survived.sum())

    @property
    def unbroken(self) -> Tensor:
        """Which images (M,) were right at every iterate, and are in the end."""
        return self.survived & ~self.fooled.any(0)

    def within(self, restarts: int) -> int:
        """Return how many images the first ``restarts`` restarts left right at every iterate."""
        return int((~self.fooled[self.restarts < restarts].any(0)).sum())

    def after(self, steps: int) -> int:
        """Return how many images were right at every iterate up to ``steps`` (of an attack without restarts)."""
        return int((~self.fooled[: steps + 1].any(0)).sum())

    @classmethod
    def of(
        cls, attack: Attack, model: nn.Module, images: Tensor, labels: Tensor, on_iterate: Callable[[], None]
    ) -> Attempt:
        """Attack one batch of images (M,C,H,W), and look at every iterate."""
        fooled: list[Tensor] = []
        margins: list[Tensor] = []
        restarts: list[int] = []

        def record(step: Step) -> None:
            on_iterate()
            fooled.append(step.logits.argmax(1) != labels)
            margins.append(margin(step.logits, labels))
            restarts.append(step.restart)

        found = attack(model, images, labels, on_step=record)
        moved = float((NORMS[attack.norm].size(found - images) - attack.eps * (1 + 1e-5)).amax())
        outside = max(float(-found.amin()), float(found.amax()) - 1)
        with torch.no_grad():
            survived = model(found).argmax(1) == labels
        excess = max(moved, outside) if found.isfinite().all() else math.inf
        return cls(survived, torch.stack(fooled), torch.stack(margins), torch.tensor(restarts), excess)

    @classmethod
    def joined(cls, batches: Sequence[Attempt]) -> Attempt:
        """Return one attempt of several on different images; where one ended early, all fooled, it stays as it is."""
        longest = max(len(batch.margins) for batch in batches)
        return cls(
            torch.cat([batch.survived for batch in batches]),
            torch.cat([_stretch(batch.fooled, longest) for batch in batches], 1),
            torch.cat([_stretch(batch.margins, longest) for batch in batches], 1),
            max((batch.restarts for batch in batches), key=len),
            max(batch.excess for batch in batches),
        )


def _stretch(rows: Tensor, length: int) -> Tensor:
    """Repeat the last row of (T,M) until there are ``length``."""
    return torch.cat([rows, rows[-1:].expand(length - len(rows), -1)]) if len(rows) < length else rows
