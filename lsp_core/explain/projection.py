"""An embedding in two dimensions, fitted once, into which new points can be put."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Projection:
    """The two directions in which an embedding is spread most (principal components).

    Attributes:
        mean: (D,) of the points that it was fitted to.
        axes: (2,D), orthonormal, the widest first; of each the entry of largest size is positive.
        share: of the spread (the total variance) that both directions show, from 0 to 1.
    """

    mean: Tensor
    axes: Tensor
    share: float

    @classmethod
    def of(cls, points: Tensor) -> Projection:
        """Fit points (N,D), of which there must be at least two with two dimensions.

        Raises:
            ValueError: if they are too few, or not finite.
        """
        if points.dim() != 2 or min(points.shape) < 2:
            raise ValueError(f"points have shape {tuple(points.shape)}, but (N,D) with both at least 2 is needed.")
        if not points.isfinite().all():
            raise ValueError("points are not all finite, so they have no directions of largest spread.")
        exact = points.double()
        mean = exact.mean(0)
        _, spread, axes = torch.linalg.svd(exact - mean, full_matrices=False)
        largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
        axes = axes * torch.where(largest < 0, -1.0, 1.0)  # else the map could be a mirror image on another machine
        variance = spread.square()
        share = float(variance[:2].sum() / variance.sum().clamp_min(1e-30))
        return cls(mean.to(points.dtype), axes[:2].to(points.dtype), share)

    def __call__(self, points: Tensor) -> Tensor:
        """Return where points (N,D) lie in it, (N,2)."""
        return (points - self.mean) @ self.axes.T
