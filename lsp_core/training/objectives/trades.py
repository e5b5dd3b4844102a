"""TRADES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from lsp_core.attacks import PGD
from lsp_core.attacks.losses import kl
from lsp_core.training.objectives.objective import attacked


@dataclass(frozen=True)
class TRADES:
    """Cross-entropy on the images, and their predictions' divergence under attack (Zhang et al. 2019, equation 5).

    Examples maximise that divergence from a uniform start in the ball; the paper's code starts closer to the image.

    Attributes:
        beta: weight of the divergence (the paper's 1/lambda).
    """

    steps: int
    smoothing: float = 0.0
    beta: float = 6.0
    needs_clean: ClassVar[bool] = True
    crafts: ClassVar[bool] = True

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return PGD examples of radius ``eps`` on KL; the model is left in training mode."""
        return attacked(model, images, labels, PGD(eps, steps=self.steps, loss="kl", early_stop=False, seed=seed))

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy plus ``beta`` times the mean divergence; the gradient flows through both sides."""
        assert clean is not None
        assert adversarial is not None
        error = functional.cross_entropy(clean, labels, label_smoothing=self.smoothing)
        return error + self.beta * kl(adversarial, clean).mean()
