"""Auto-PGD: projected gradient ascent that sets its own step size (Croce and Hein 2020, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.climb import climb
from lsp_core.attacks.contract import check_batch, check_settings, check_steps
from lsp_core.attacks.draws import Draws
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.norms import NORMS, Radius, per_image
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.types import Norm, OnStep, Precision

ABREAST = 64  # images at once that a pass is well filled with


@dataclass(frozen=True)
class APGD:
    """Steps with momentum that begin at 2 eps long and halve, from the best image so far, where progress stalls.

    An example that any iterate fools is returned as that iterate and leaves the batch; the others are returned at the
    image of highest loss. ``on_step`` sees the best image so far.

    Attributes:
        eps: radius in pixel units.
        targeted: ``labels`` are the classes to reach instead of the ones to leave.
        targets: run against this many of the nearest wrong classes in turn, to leave the label (APGD-T); 0 for one
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
        ordering = 3 + _considered(self.targets) if self.targets else 0
        return 2 * (self.steps + 1) * self.restarts * max(1, self.targets) + ordering

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
        towards = self._towards(pursuit) * self.restarts
        run = 0
        while run < len(towards) and len(pursuit.rows):
            # Who watches sees one run after the other; else few images make several at once, which fools the same.
            some = (
                towards[run : run + max(1, ABREAST // len(pursuit.rows))] if on_step is None else towards[run : run + 1]
            )
            streams, here = draws.at(pursuit.rows), pursuit.images[pursuit.rows]
            start = torch.cat([here + self._start(here, streams, run + copy) for copy in range(len(some))]).clamp(0, 1)
            with pursuit.abreast(some) as copies:
                self._climb(copies, start, run)
            run += len(some)
        return pursuit.result

    def _start(self, images: Tensor, draws: Draws, run: int) -> Tensor:
        """Draw a perturbation of size eps: the paper's own code starts on the sphere, not inside the ball."""
        ball = NORMS[self.norm]
        delta = ball.random(images, 1.0, draws, run)
        return delta * per_image(self.eps / ball.size(delta).clamp_min(1e-12), delta) if len(delta) else delta

    def _towards(self, pursuit: Pursuit) -> list[Tensor | None]:
        """Return the classes (N,) that the runs go for, one after the other; None is any but the label."""
        return [*rivals(pursuit, self.eps, self.targets, self.norm)] if self.targets and len(pursuit.rows) else [None]

    def _climb(self, pursuit: Pursuit, start: Tensor, run: int) -> None:
        """Run all steps from ``start``, the open examples' images."""
        climb(pursuit, start, start.new_full((len(start),), self.eps), self.steps, self.norm, run)


def rivals(pursuit: Pursuit, eps: Radius, targets: int, norm: Norm) -> list[Tensor]:
    """Return the wrong classes (n,) of the open examples, first the one that a linear model would bring nearest at eps.

    The distance to a class decides, not its logit: of the runs by logit three found what one or two find so.
    Source: Moosavi-Dezfooli et al. 2016 (DeepFool, equation 8) for the distance; the order is our own use of it.
    """
    labels, ball = pursuit.open.labels, NORMS[norm]
    logits = pursuit.view(pursuit.images[pursuit.rows], gradient=False).logits
    others = logits.scatter(1, labels[:, None], -torch.inf)
    nearby = others.topk(min(_considered(targets), logits.shape[1] - 1), dim=1).indices
    own, *slopes = pursuit.slopes([labels, *nearby.unbind(1)])
    ahead = logits.gather(1, nearby) - logits.gather(1, labels[:, None])
    gains = torch.stack([(ball.direction(slope - own) * (slope - own)).flatten(1).sum(1) for slope in slopes], 1)
    reach = eps[:, None] if isinstance(eps, Tensor) else eps
    order = (ahead + reach * gains).topk(min(targets, nearby.shape[1]), dim=1).indices
    return list(nearby.gather(1, order).unbind(1))


def _considered(targets: int) -> int:
    """Return among how many of the likeliest wrong classes the nearest are sought."""
    return max(9, 2 * targets)
