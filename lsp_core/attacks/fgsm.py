"""The fast gradient sign method (Goodfellow et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lsp_core.attacks.contract import check_settings
from lsp_core.attacks.pgd import PGD
from lsp_core.types import Norm, OnStep


@dataclass(frozen=True)
class FGSM:
    """One step of length ``eps`` from the image itself: PGD in its smallest form.

    With the L2 norm it is the fast gradient method: a step along the normalised gradient.
    """

    eps: float
    norm: Norm = "Linf"
    loss: str = "ce"
    targeted: bool = False

    def __post_init__(self) -> None:
        check_settings(self.eps, self.norm, self.loss, self.targeted, random_start=False)

    @property
    def passes(self) -> int:
        """The most forward and backward passes that an example can cost."""
        return 2

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        one_step = PGD(
            self.eps,
            alpha=self.eps,
            steps=1,
            norm=self.norm,
            loss=self.loss,
            random_start=False,
            targeted=self.targeted,
            early_stop=False,
        )
        return one_step(model, images, labels, on_step=on_step)
