"""The smallest radius at which a model was seen to be fooled, image by image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_logits
from lsp_core.attacks.norms import NORMS, per_image
from lsp_core.types import Norm

HALVINGS = 6  # of the way from the image to what fools


@dataclass(frozen=True)
class Smallest:
    """What was found: a model is fooled from ``eps`` on; there may always be a smaller radius that nobody found.

    Attributes:
        eps: (N,) float64, how far ``images`` are from the clean ones, in pixel units; 0 where the clean image itself is
            wrong, inf where nothing was found.
        images: (N,C,H,W) each of which the model gets wrong, in its own precision; the clean image where nothing was
            found.
        eps_8bit: (N,) float64, the same after ``images`` are rounded to 256 levels, as in a file; inf where that undoes
            it.
    """

    eps: Tensor
    images: Tensor
    eps_8bit: Tensor

    @property
    def found(self) -> Tensor:
        """Which images (N,) have a radius."""
        return self.eps.isfinite()


class Closest:
    """The closest image so far that fools, of each image (N,C,H,W); what is taken in was seen to fool.

    Attributes:
        images: (N,C,H,W); the clean image where there is none.
        eps: (N,) how far it is, measured on the image itself; inf where there is none.
    """

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor, norm: Norm):
        """Begin with the images that are wrong themselves."""
        self.model, self.clean, self.labels, self.norm = model, images, labels, norm
        self.images = images.clone()
        self.eps = torch.full((len(images),), torch.inf, dtype=images.dtype, device=images.device)
        self.offer(torch.arange(len(images), device=images.device), images)

    def offer(self, rows: Tensor, images: Tensor) -> Tensor:
        """Take in images for some ``rows`` (n,), in any order and as often as may be; return which (n,) fool."""
        fools = self._fools(images, self.labels[rows])
        size = NORMS[self.norm].size(images - self.clean[rows])
        for place in (fools & (size < self.eps[rows])).nonzero().squeeze(1).tolist():
            row = rows[place]
            if size[place] < self.eps[row]:
                self.images[row], self.eps[row] = images[place], size[place]
        return fools

    def draw_near(self, rows: Tensor) -> None:
        """Halve the way between what fools and what does not, along the line to the clean image."""
        near, far, clean = torch.zeros_like(self.eps[rows]), torch.ones_like(self.eps[rows]), self.clean[rows]
        away = self.images[rows] - clean
        for _ in range(HALVINGS):
            share = (near + far) / 2
            fools = self.offer(rows, (clean + per_image(share, away) * away).clamp(0, 1))
            near, far = torch.where(fools, near, share), torch.where(fools, share, far)

    def at(self, rows: Tensor, eps: Tensor) -> Tensor:
        """Return the images on the line to what fools, at radii (n,); the clean image where nothing fools yet."""
        share = torch.where(self.eps[rows].isfinite(), eps / self.eps[rows], 0.0)
        clean = self.clean[rows]
        return (clean + per_image(share, clean) * (self.images[rows] - clean)).clamp(0, 1)

    def result(self) -> Smallest:
        """Measure once more, on what is returned: in the model's own precision, and after rounding to 8 bits."""
        found, sizes = self.images, NORMS[self.norm].size
        wrong = self._fools(found, self.labels)
        eps = torch.where(wrong, sizes(found.double() - self.clean.double()), torch.inf)
        levels = (found * 255).round() / 255
        rounded = sizes(levels.double() - self.clean.double())
        return Smallest(eps, found, torch.where(wrong & self._fools(levels, self.labels), rounded, torch.inf))

    def _fools(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            logits = self.model(images)
        check_logits(logits, labels)
        fools: Tensor = logits.argmax(1) != labels
        return fools
