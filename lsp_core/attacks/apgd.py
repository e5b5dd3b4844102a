"""Auto-PGD: projected gradient ascent that sets its own step size (Croce and Hein 2020, algorithm 1)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_settings, check_steps
from lsp_core.attacks.draws import Draws
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.norms import NORMS, Ball, per_image
from lsp_core.attacks.pursuit import Pursuit, View
from lsp_core.types import Norm, OnStep, Precision

INERTIA, ENOUGH_RISES = 0.75, 0.75  # the paper's alpha and rho


@dataclass(frozen=True)
class APGD:
    """Steps with momentum that begin at 2 eps long and halve, from the best image so far, where progress stalls.

    An example that any iterate fools is returned as that iterate and leaves the batch; the others are returned at the
    image of highest loss. ``on_step`` sees the best image so far.

    Attributes:
        eps: radius in pixel units.
        targeted: ``labels`` are the classes to reach instead of the ones to leave.
        targets: run against this many of the likeliest wrong classes in turn, to leave the label (APGD-T); 0 for one
            untargeted run.
        precision: of the passes that look for a way; whether an example is fooled is decided in the images' own.
        seed: of the random starts.
    """

    eps: float
    steps: int = 100
    norm: Norm = "Linf"
    loss: str = "ce"
    restarts: int = 1
    targeted: bool = False
    targets: int = 0
    precision: Precision = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.eps, self.norm, self.loss, self.targeted or self.targets > 0)
        check_steps(steps=self.steps, restarts=self.restarts, targets=self.targets or 1)
        if self.targets and self.targeted:
            raise ValueError("targets picks wrong classes to try, but targeted says that the labels are the targets.")

    @property
    def passes(self) -> int:
        """The most forward and backward passes that an example can cost."""
        return 2 * (self.steps + 1) * self.restarts * max(1, self.targets)

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        draws = Draws(images, self.seed)
        pursuit = Pursuit(
            model, images, Goal.of(self.loss, model, images.detach(), labels, self.targeted), on_step, self.precision
        )
        rivals = self._rivals(pursuit) if self.targets and len(images) else [None]
        for run, rival in enumerate(rivals * self.restarts):
            pursuit.goal = dataclasses.replace(pursuit.goal, towards=rival)
            images = pursuit.images[pursuit.rows]
            self._climb(pursuit, (images + self._start(images, draws.at(pursuit.rows), run)).clamp(0, 1), run)
            if len(pursuit.rows) == 0:
                break
        return pursuit.result

    def _start(self, images: Tensor, draws: Draws, run: int) -> Tensor:
        """Draw a perturbation of size eps: the paper's own code starts on the sphere, not inside the ball."""
        ball = NORMS[self.norm]
        delta = ball.random(images, 1.0, draws, run)
        return delta * per_image(self.eps / ball.size(delta).clamp_min(1e-12), delta) if len(delta) else delta

    def _rivals(self, pursuit: Pursuit) -> list[Tensor | None]:
        """Return the wrong classes (N,), likeliest first."""
        logits = pursuit.view(pursuit.images, gradient=False).logits
        others = logits.scatter(1, pursuit.goal.labels[:, None], -torch.inf)
        return list(others.topk(min(self.targets, logits.shape[1] - 1), dim=1).indices.unbind(1))

    def _climb(self, pursuit: Pursuit, start: Tensor, run: int) -> None:
        """Run all steps from ``start``, the open examples' images."""
        ball, looks = NORMS[self.norm], _looks(self.steps)
        seen = pursuit.view(start)
        walk = _Walk.begin(pursuit.images[pursuit.rows], start, seen, 2 * self.eps)
        since = 0
        for index in range(self.steps + 1):
            if index:
                walk.move(ball, self.eps, first=index == 1)
                seen = pursuit.view(walk.image, gradient=index < self.steps)
                walk.learn(seen)
            last = index == self.steps
            if pursuit.on_step is not None or last:
                pursuit.put(walk.best, walk.best_logits)
            stay = pursuit.take(walk.image, seen, last)
            pursuit.report(run, index)
            if len(pursuit.rows) == 0:
                return
            if stay is not None:
                walk.keep(stay)
            if index in looks:
                walk.review(index - since)
                since = index


@dataclass
class _Walk:
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
    def begin(cls, centre: Tensor, start: Tensor, seen: View, step: float) -> _Walk:
        gradient = torch.zeros_like(start) if seen.gradient is None else seen.gradient
        none, steps = torch.zeros_like(seen.value), torch.full_like(seen.value, step)
        best = (start, gradient, seen.value, seen.logits)
        return cls(centre, start, start, gradient, seen.value, steps, *best, none, seen.value, halved=none == 0)

    def keep(self, stay: Tensor) -> None:
        """Drop the examples that left."""
        for name, value in vars(self).items():
            setattr(self, name, value[stay])

    def move(self, ball: Ball, eps: float, first: bool) -> None:
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


def _looks(steps: int) -> set[int]:
    """Return the steps after which progress is reviewed (section 3.2 of the paper): ever closer together."""
    points = [0, 22]  # per cent: as fractions they would not add up, and some be rounded up to the next step
    while points[-1] < 100:
        points.append(points[-1] + max(points[-1] - points[-2] - 3, 6))
    return {-(-point * steps // 100) for point in points[1:-1]}
