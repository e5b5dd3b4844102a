"""The climb of Auto-PGD (Croce and Hein 2020, algorithm 1): every example in a ball of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsp_core.attacks.norms import NORMS, Ball, Radius, per_image
from lsp_core.attacks.pursuit import Pursuit, View
from lsp_core.types import Norm

INERTIA, ENOUGH_RISES = 0.75, 0.75  # the paper's alpha and rho


def climb(pursuit: Pursuit, start: Tensor, eps: Tensor, steps: int, norm: Norm, run: int = 0) -> None:
    """Run all steps from ``start``, the open examples' images (n,C,H,W), each in its ball of radius ``eps`` (n,)."""
    ball, looks = NORMS[norm], looks_after(steps)
    seen = pursuit.view(start)
    walk = Walk.begin(pursuit.images[pursuit.rows], start, seen, 2 * eps)
    since = 0
    for index in range(steps + 1):
        if index:
            walk.move(ball, eps, first=index == 1)
            seen = pursuit.view(walk.image, gradient=index < steps)
            walk.learn(seen)
        last = index == steps
        if pursuit.on_step is not None or last:
            pursuit.put(walk.best, walk.best_logits)
        stay = pursuit.take(walk.image, seen, last)
        pursuit.report(run, index)
        if len(pursuit.rows) == 0:
            return
        if stay is not None:
            walk.keep(stay)
            eps = eps[stay]
        if index in looks:
            walk.review(index - since)
            since = index


@dataclass
class Walk:
    """Where every open example (n) is, has been, and did best."""

    centre: Tensor
    image: Tensor
    before: Tensor
    gradient: Tensor
    value: Tensor
    step: Tensor
    best: Tensor
    best_gradient: Tensor
    best_value: Tensor
    best_logits: Tensor
    rises: Tensor
    mark: Tensor
    halved: Tensor

    @classmethod
    def begin(cls, centre: Tensor, start: Tensor, seen: View, step: Radius) -> Walk:
        """Begin at an image, with steps of a first length."""
        gradient = torch.zeros_like(start) if seen.gradient is None else seen.gradient
        none = torch.zeros_like(seen.value)
        steps = none + step
        best = (start, gradient, seen.value, seen.logits)
        return cls(centre, start, start, gradient, seen.value, steps, *best, none, seen.value, halved=none == 0)

    def keep(self, stay: Tensor) -> None:
        """Drop the examples that left."""
        for name, value in vars(self).items():
            setattr(self, name, value[stay])

    def move(self, ball: Ball, eps: Radius, first: bool) -> None:
        """Step along the gradient, then mix in the step before (equation 2 of the paper)."""

        def into_ball(images: Tensor) -> Tensor:
            return (self.centre + ball.project(images - self.centre, eps)).clamp(0, 1)

        aim = into_ball(self.image + per_image(self.step, self.image) * ball.direction(self.gradient))
        inertia = 1.0 if first else INERTIA
        mixed = into_ball(self.image + inertia * (aim - self.image) + (1 - inertia) * (self.image - self.before))
        self.before, self.image = self.image, mixed

    def learn(self, seen: View) -> None:
        """Take in what the model shows at the new image."""
        self.rises += seen.value > self.value
        self.value = seen.value
        if seen.gradient is not None:
            self.gradient = seen.gradient
        better = seen.value > self.best_value
        wide = per_image(better, self.image)
        self.best = torch.where(wide, self.image, self.best)
        self.best_gradient = torch.where(wide, self.gradient, self.best_gradient)
        self.best_value = torch.where(better, seen.value, self.best_value)
        self.best_logits = torch.where(better[:, None], seen.logits, self.best_logits)

    def review(self, steps: int) -> None:
        """Halve the step and go back to the best image where the last ``steps`` gained too little."""
        unsteady = self.rises <= ENOUGH_RISES * steps
        stuck = ~self.halved & (self.best_value <= self.mark)
        self.halved = unsteady | stuck
        self.mark, self.rises = self.best_value, torch.zeros_like(self.rises)
        wide = per_image(self.halved, self.image)
        self.step = torch.where(self.halved, self.step / 2, self.step)
        self.image = torch.where(wide, self.best, self.image)
        self.gradient = torch.where(wide, self.best_gradient, self.gradient)


def looks_after(steps: int) -> set[int]:
    """Return the steps after which progress is reviewed (section 3.2 of the paper): ever closer together."""
    points = [0, 22]  # per cent: as fractions they would not add up, and some be rounded up to the next step
    while points[-1] < 100:
        points.append(points[-1] + max(points[-1] - points[-2] - 3, 6))
    return {-(-point * steps // 100) for point in points[1:-1]}
