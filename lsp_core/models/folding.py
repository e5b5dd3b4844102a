"""A stand-in for a model that answers alike and costs less: batch norm folded into the convolution before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ALIKE = 1e-3  # largest difference of a logit, as a share of the largest logit: rounding is a thousandth of that


def folded(model: nn.Module, images: Tensor) -> nn.Module | None:
    """Return a copy of a model in evaluation mode without its batch norms, or None if that cannot be had.

    In evaluation mode a batch norm is a factor and a summand for each channel, which the convolution before it can
    take on (Jacob et al. 2018, section 3.2). The copy rounds differently: it may look for a way, but decides nothing.

    Args:
        model: whatever it is.
        images: (N,C,H,W) on which it must answer as the model does; a model that torch.fx cannot follow, or that
            answers differently each time, has no stand-in.
    """
    if not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) for module in model.modules()):
        return None
    from torch.fx.experimental.optimization import fuse  # half a second, which not every command needs

    with torch.no_grad():
        try:
            copy = fuse(model).eval().requires_grad_(False)
            wanted, found = model(images), copy(images)
        except Exception:  # a foreign model may do anything when it is followed; it is then attacked as it is
            return None
        close = (found - wanted).abs().amax() <= ALIKE * wanted.abs().amax()
    return copy if bool(close) else None
