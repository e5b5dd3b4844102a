"""From which radius on a model is fooled: an attack without an eps to choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.apgd import rivals
from lsp_core.attacks.climb import climb
from lsp_core.attacks.contract import check_batch, check_settings, check_steps
from lsp_core.attacks.ddn import ddn
from lsp_core.attacks.draws import Draws
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.norms import NORMS, per_image
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.attacks.smallest import Closest, Smallest
from lsp_core.types import Norm

OnProgress = Callable[[int, int], None]
FIRST = 1 / 32  # the radius that is tried first, and doubled until something fools
DOUBLINGS, BISECTIONS, REFINEMENTS = 6, 6, 10
TARGETS = 3
STRIDE, FINEST = 0.1, 0.003  # how far below the best radius a refinement looks, at first and at last, as a share of it


@dataclass(frozen=True)
class Minimal:
    """Look for the closest image that a model gets wrong.

    Linf: climb the margin in a small ball and double it until something fools, then halve the interval. L2: DDN (Rony
    et al. 2019), without its rounding to 256 levels. Either is then refined: a little below the best radius, towards
    the three classes that a linear model would bring nearest, now from where the best image lies and now from a random
    start; where that fools, the next try looks further below, else closer. The climb is that of Auto-PGD. The closest
    of all that fooled on the way is kept, for success need not be monotone in the radius. The mix is our own.

    Attributes:
        steps: of each climb; DDN takes five times as many.
        seed: of the random starts; an image gets the same in any batch.
    """

    norm: Norm = "Linf"
    steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(0.0, self.norm)
        check_steps(steps=self.steps)

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, *, on_progress: OnProgress | None = None
    ) -> Smallest:
        """Return the closest image found for each of ``images`` (N,C,H,W) in [0,1], and how far it is.

        Args:
            model: in evaluation mode.
            images: the clean ones.
            labels: (N,) the classes to leave; an image that has left it is its own answer, at radius 0.
            on_progress: is given the tries done and in all; it may raise to cancel.

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        if len(images) == 0:
            return Smallest(images.new_zeros(0).double(), images, images.new_zeros(0).double())
        search = _Search(self, model, images.detach(), labels, on_progress)
        search.begin_l2() if self.norm == "L2" else search.begin_linf()
        search.refine()
        return search.closest.result()


class _Search:
    """One call of the attack."""

    def __init__(
        self, attack: Minimal, model: nn.Module, images: Tensor, labels: Tensor, on_progress: OnProgress | None
    ):
        self.attack, self.model, self.images, self.labels = attack, model, images, labels
        self.closest = Closest(model, images, labels, attack.norm)
        self.rows = (self.closest.eps > 0).nonzero().squeeze(1)  # what is wrong already needs no attack
        self.draws, self.on_progress, self.tries = Draws(images, attack.seed), on_progress, 0
        self.total = REFINEMENTS + (DOUBLINGS + BISECTIONS if attack.norm == "Linf" else 5 * attack.steps)

    def begin_linf(self) -> None:
        """Find a radius at which the margin can be climbed above zero, and halve the interval below it."""
        none = torch.zeros_like(self.closest.eps)
        for doubling in range(DOUBLINGS):
            self._tick()
            rows = self.rows[self.closest.eps[self.rows].isinf()]
            radius = FIRST * 2**doubling
            self._climb(rows, (none + radius)[rows], random=True, turn=doubling)
            none[rows] = torch.where(self.closest.eps[rows].isinf(), radius, none[rows])
        found = self.rows[self.closest.eps[self.rows].isfinite()]
        self.closest.draw_near(found)
        low = none.clamp_max(1)
        for _ in range(BISECTIONS):
            self._tick()
            radii = (torch.minimum(low, self.closest.eps) + self.closest.eps)[found] / 2
            fooled = self._climb(found, radii, random=False)
            low[found] = torch.where(fooled, low[found], radii)

    def begin_l2(self) -> None:
        """Walk to the border between the classes, and along it."""
        rows = self.rows
        for images in ddn(self.model, self.images[rows], self.labels[rows], 5 * self.attack.steps):
            self._tick()
            self.closest.offer(rows, images)
        self.closest.draw_near(rows[self.closest.eps[rows].isfinite()])

    def refine(self) -> None:
        """Look a little below the best radius, towards the nearest classes."""
        rows = self.rows[self.closest.eps[self.rows].isfinite()]
        stride = torch.full_like(self.closest.eps, STRIDE)
        towards = self._nearest(rows)
        for turn in range(REFINEMENTS):
            self._tick()
            open_ = stride[rows] >= FINEST
            some, classes = rows[open_], [one[open_] for one in towards]
            radii = self.closest.eps[some] * (1 - stride[some])
            fooled = self._climb(some, radii, random=turn % 2 == 1, turn=DOUBLINGS + turn, towards=classes)
            stride[some] = torch.where(fooled, (1.5 * stride[some]).clamp_max(0.3), stride[some] / 2)

    def _nearest(self, rows: Tensor) -> list[Tensor]:
        if len(rows) == 0:
            return []
        pursuit = Pursuit(self.model, self.images[rows], Goal("margin", self.labels[rows]))
        return rivals(pursuit, self.closest.eps[rows], TARGETS, self.attack.norm)

    def _climb(
        self, rows: Tensor, radii: Tensor, *, random: bool, turn: int = 0, towards: list[Tensor] | None = None
    ) -> Tensor:
        """Try to fool some ``rows`` (n,) within ``radii`` (n,), ``towards`` classes (n,) side by side or any other.

        Returns which (n,) were fooled.
        """
        if len(rows) == 0:
            return torch.zeros_like(rows, dtype=torch.bool)
        goal = Goal("margin", self.labels[rows])
        goals = [dataclasses.replace(goal, towards=one) for one in towards] if towards else [goal]
        every, wide = rows.repeat(len(goals)), radii.repeat(len(goals))
        ball, clean = NORMS[self.attack.norm], self.images[every]
        start = self.closest.at(every, wide)
        if random:
            draws = [
                ball.random(clean[: len(rows)], 1.0, self.draws.at(rows), turn * TARGETS + one)
                for one in range(len(goals))
            ]
            delta = torch.cat(draws)
            start = (clean + delta * per_image(wide, delta)).clamp(0, 1)
        pursuit = Pursuit(self.model, clean, Goal.joined(goals))
        climb(pursuit, start, wide, self.attack.steps, self.attack.norm)
        fooled = torch.ones_like(every, dtype=torch.bool)
        fooled[pursuit.rows] = False
        self.closest.offer(every[fooled], pursuit.result[fooled])
        return fooled.view(len(goals), -1).any(0)

    def _tick(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.tries, self.total)
        self.tries += 1
