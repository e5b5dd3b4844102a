"""MART."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from lsp_core.attacks import PGD
from lsp_core.attacks.losses import kl
from lsp_core.training.objectives.objective import attacked


@dataclass(frozen=True)
class MART:
    """Adversarial training that minds most the images which the model is unsure of (Wang et al. 2020, equation 13).

    Attributes:
        beta: weight of the divergence (the paper's lambda).
    """

    steps: int
    smoothing: float = 0.0
    beta: float = 5.0
    needs_clean: ClassVar[bool] = True
    crafts: ClassVar[bool] = True

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return PGD examples of radius ``eps``; the model is left in training mode."""
        return attacked(model, images, labels, PGD(eps, steps=self.steps, early_stop=False, seed=seed))

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the boosted cross-entropy plus ``beta`` times the mean of KL * (1 - p_y of the clean image)."""
        assert clean is not None
        assert adversarial is not None
        rival = adversarial.softmax(1).scatter(1, labels[:, None], 0.0).amax(1)
        error = functional.cross_entropy(adversarial, labels, label_smoothing=self.smoothing)
        boosted = error - (1.0001 - rival).log().mean()
        doubt = 1 - clean.softmax(1).gather(1, labels[:, None]).squeeze(1)
        return boosted + self.beta * (kl(adversarial, clean) * doubt).mean()
