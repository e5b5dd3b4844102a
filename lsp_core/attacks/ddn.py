"""The decoupled direction and norm attack (Rony et al. 2019, algorithm 1), without its rounding to 256 levels."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lsp_core.attacks.goal import Goal
from lsp_core.attacks.norms import NORMS, per_image
from lsp_core.attacks.pursuit import Pursuit

GAMMA, START = 0.05, 1.0  # section 4 of the paper: how fast the radius changes, and where it begins
LONGEST, SHORTEST = 1.0, 0.01  # step, which falls along half a cosine


def ddn(model: nn.Module, images: Tensor, labels: Tensor, steps: int) -> Iterator[Tensor]:
    """Yield the iterates (N,C,H,W), on spheres (L2) that shrink where the model is fooled and grow where it is not.

    Whether an iterate fools is for the caller to see; the last one need not be the closest that does.
    """
    if len(images) == 0:
        return
    pursuit, ball = Pursuit(model, images, Goal("ce", labels)), NORMS["L2"]
    current, eps = pursuit.images, torch.full_like(images[:, 0, 0, 0], START)
    for step in range(steps):
        seen = pursuit.view(current)
        assert seen.gradient is not None
        length = SHORTEST + (LONGEST - SHORTEST) * (1 + math.cos(math.pi * step / steps)) / 2
        delta = current - pursuit.images + length * ball.direction(seen.gradient)
        eps = eps * torch.where(seen.fooled, 1 - GAMMA, 1 + GAMMA)
        current = (pursuit.images + ball.direction(delta) * per_image(eps, delta)).clamp(0, 1)
        yield current
