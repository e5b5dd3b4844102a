"""Square attack: random search with squares, which needs no gradient (Andriushchenko et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_settings, check_steps
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.norms import NORMS, per_image
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.types import Norm, OnStep, Precision

HALVE_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries after which a square covers half the area


@dataclass(frozen=True)
class Square:
    """Change a random square of the image, and keep the change if the margin grows.

    All random choices are shared by the batch, so that what an example gets depends on no other, nor on the batch size.
    An example that is fooled leaves the batch. ``on_step`` sees the best image so far after every query.

    Attributes:
        eps: radius in pixel units.
        queries: forward passes an example, at most.
        loss: what a change must raise.
        area: share of the image that the first squares cover (the paper's p).
        targeted: ``labels`` are the classes to reach instead of the ones to leave.
        precision: of the passes that look for a way; whether an example is fooled is decided in the images' own.
        seed: of every random choice.
    """

    eps: float
    queries: int = 5000
    norm: Norm = "Linf"
    loss: str = "margin"
    area: float = 0.8
    targeted: bool = False
    precision: Precision = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.eps, self.norm, self.loss, self.targeted)
        check_steps(queries=self.queries)
        if not 0 < self.area <= 1:
            raise ValueError(f"area is {self.area:g}, but it must be above 0 and at most 1 (share of the image).")

    @property
    def passes(self) -> int:
        """The most forward and backward passes that an example can cost."""
        return self.queries + (self.loss == "kl")

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        draw = _Draw(images, self.seed)
        pursuit = Pursuit(
            model, images, Goal.of(self.loss, model, images.detach(), labels, self.targeted), on_step, self.precision
        )
        begin, change = {"Linf": (_stripes, _paint), "L2": (_hills, _shift_mass)}[self.norm]
        if len(images) == 0:
            return pursuit.result
        current = begin(pursuit.images, self.eps, draw)
        best = torch.full(labels.shape, -torch.inf, device=images.device, dtype=images.dtype)
        logits: Tensor | None = None
        for query in range(self.queries):
            centre = pursuit.images[pursuit.rows]
            if query:
                side = _side(self.area, query - 1, images.shape[2:])
                candidate = change(centre, current, self.eps, side, draw)
            else:
                candidate = current
            seen = pursuit.view(candidate, gradient=False)
            better = (seen.value > best) | seen.fooled
            current = torch.where(per_image(better, current), candidate, current)
            best = torch.where(better, seen.value, best)
            logits = seen.logits if logits is None else torch.where(better[:, None], seen.logits, logits)
            last = query + 1 == self.queries
            if on_step is not None or last:
                pursuit.put(current, logits)
            stay = pursuit.take(current, seen, last)
            pursuit.report(0, query)
            if len(pursuit.rows) == 0:
                break
            if stay is not None:
                current, best, logits = current[stay], best[stay], logits[stay]
        return pursuit.result


class _Draw:
    """Random choices shared by a batch; they come from the CPU, so that every device makes the same."""

    def __init__(self, images: Tensor, seed: int):
        self.generator, self.images = torch.Generator().manual_seed(seed), images

    def below(self, limit: int) -> int:
        return int(torch.randint(limit, (), generator=self.generator).item())

    def signs(self, *shape: int) -> Tensor:
        flips = torch.randint(2, shape, generator=self.generator)
        return (2 * flips - 1).to(self.images.device, self.images.dtype)

    def window(self, side: int) -> tuple[slice, slice]:
        """Return the rows and columns of a square somewhere in the image."""
        height, width = self.images.shape[2:]
        top, left = self.below(height - side + 1), self.below(width - side + 1)
        return slice(top, top + side), slice(left, left + side)


def _side(area: float, query: int, size: torch.Size) -> int:
    """Return the side of the square for a query, in pixels, on an image of ``size`` (H,W)."""
    share = area / 2 ** sum(query > limit for limit in HALVE_AT)
    side: int = min(max(round(math.sqrt(share * size[0] * size[1])), 1), *size)
    return side


def _stripes(images: Tensor, eps: float, draw: _Draw) -> Tensor:
    """Begin the Linf search: every column of every channel up or down by eps."""
    return (images + eps * draw.signs(images.shape[1], 1, images.shape[3])).clamp(0, 1)


def _paint(centre: Tensor, current: Tensor, eps: float, side: int, draw: _Draw) -> Tensor:
    """Put one square at plus or minus eps, a sign per channel."""
    rows, columns = draw.window(side)
    changed = current.clone()
    square = centre[:, :, rows, columns] + eps * draw.signs(centre.shape[1], 1, 1)
    changed[:, :, rows, columns] = square.clamp(0, 1)
    return changed


def _hills(images: Tensor, eps: float, draw: _Draw) -> Tensor:
    """Begin the L2 search: the image tiled with pairs of hills, a sign per tile and channel."""
    channels, height, width = images.shape[1:]
    side = max(min(height, width) // 5, 1)
    delta: Tensor = torch.zeros_like(images[0])
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            hill = _hill(side, draw).to(delta) * draw.signs(channels, 1, 1)
            delta[:, top : top + side, left : left + side] = hill
    begun: Tensor = images + eps * delta / delta.norm().clamp_min(1e-12)
    return begun.clamp(0, 1)


def _shift_mass(centre: Tensor, current: Tensor, eps: float, side: int, draw: _Draw) -> Tensor:
    """Move the squared length that two windows hold, and what is left of the budget, into one of them (algorithm 3)."""
    side = min(side + (side + 1) % 2, *centre.shape[2:])  # odd, so that a hill has a middle
    first, second = draw.window(side), draw.window(side)
    delta = current - centre
    here, there = delta[:, :, first[0], first[1]], torch.zeros_like(delta[:, :1], dtype=torch.bool)
    there[:, :, first[0], first[1]] = True
    there[:, :, second[0], second[1]] = True

    def length(values: Tensor) -> Tensor:  # per image and channel
        norms: Tensor = torch.linalg.vector_norm(values, dim=(2, 3), keepdim=True)
        return norms

    spare = (eps**2 - delta.flatten(1).square().sum(1)).clamp_min(0) / delta.shape[1]
    budget = (per_image(spare, delta) + length(delta * there).square()).sqrt()
    hill = _hill(side, draw).to(delta) * draw.signs(delta.shape[1], 1, 1) + here / length(here).clamp_min(1e-12)
    changed = delta.masked_fill(there, 0.0)
    changed[:, :, first[0], first[1]] = hill * (budget / length(hill).clamp_min(1e-12))
    return (centre + NORMS["L2"].direction(changed) * eps).clamp(0, 1)


def _hill(side: int, draw: _Draw) -> Tensor:
    """Return a (side,side) pattern of unit length: one half rises to its middle, the other falls."""
    upper = side // 2
    hill = torch.zeros(side, side)
    for start, height, sign in ((0, upper, 1.0), (upper, side - upper, -1.0)):
        if height:
            hill[start : start + height] = sign * _pyramid(height, side)
    hill /= hill.norm()
    turned: Tensor = hill.T if draw.below(2) else hill
    return turned


def _pyramid(height: int, width: int) -> Tensor:
    """Return ever larger rectangles around the middle, each added with less weight, at unit length."""
    pattern = torch.zeros(height, width)
    middle = (height // 2, width // 2)
    for ring in range(max(height // 2, width // 2) + 1):
        rows = slice(max(middle[0] - ring, 0), middle[0] + ring + 1)
        columns = slice(max(middle[1] - ring, 0), middle[1] + ring + 1)
        pattern[rows, columns] += 1 / (ring + 1) ** 2
    pattern /= pattern.norm()
    return pattern
