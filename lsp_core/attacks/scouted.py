"""A model with a cheaper one beside it that looks for the way."""

from __future__ import annotations

from torch import Tensor, nn

from lsp_core.models.folding import folded

WORTH = 2_000_000  # pixels through the model: for fewer the scout costs more time than it saves


class Scouted(nn.Module):
    """A model and its ``scout``, which answers nearly alike and costs less.

    An attack takes its gradients from the scout and asks the model itself who is fooled, so that no figure depends on
    it; an attack that knows nothing of scouts uses the model alone.
    """

    def __init__(self, model: nn.Module, scout: nn.Module):
        super().__init__()
        self.model, self._scout = model, scout
        self.training = False  # not by eval(), which would change the model's own layers

    def forward(self, images: Tensor) -> Tensor:
        """Return the model's logits (N,K)."""
        logits: Tensor = self.model(images)
        return logits

    def scout(self, images: Tensor) -> Tensor:
        """Return the scout's logits (N,K)."""
        logits: Tensor = self._scout(images)
        return logits


def scouted(model: nn.Module, images: Tensor, passes: int) -> nn.Module:
    """Return the model with a scout, or the model itself if none is to be had or ``passes`` are too few.

    Args:
        model: in evaluation mode.
        images: (N,C,H,W) some on which the two must agree.
        passes: that are to come, of one image each.
    """
    scout = folded(model, images) if passes * images[0].numel() >= WORTH else None
    return model if scout is None else Scouted(model, scout)
