"""Training on the images as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Standard:
    """Cross-entropy on the images as they are."""

    smoothing: float = 0.0
    needs_clean: ClassVar[bool] = True
    crafts: ClassVar[bool] = False

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return the images: nothing is crafted."""
        return images

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the clean logits."""
        assert clean is not None
        return functional.cross_entropy(clean, labels, label_smoothing=self.smoothing)
