"""Up to which radius an image is safe for sure: no image in that ball is classified otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_logits
from lsp_core.attacks.norms import NORMS
from lsp_core.certify.bounds import Balls, Relaxation
from lsp_core.certify.ranges import Range
from lsp_core.certify.record import record
from lsp_core.certify.tape import Tape
from lsp_core.types import Norm, pick

OnProgress = Callable[[int, int], None]
CHECKS = 9  # that an image takes, about
START = {"Linf": 1 / 32, "L2": 1 / 4}  # radius of the first check
CLOSE = 1.02  # a failed radius so many times the proved one ends the search
NOTHING = 1 / 64  # of the first radius: where that is not proved, nothing is
GROUP = 16  # images at once
ROUNDING = 1e-5  # of the largest logit: a margin that the model's own float32 could turn round is none


def certify(
    model: nn.Module, images: Tensor, labels: Tensor, norm: Norm = "Linf", *, on_progress: OnProgress | None = None
) -> Tensor:
    """Return the largest radius (N,) found at which it is proved that no image in the ball gets another class.

    The ball is cut to [0,1]. A proof is a lower bound above zero, in float64 with outward margins, of the least lead of
    the label over another class (``Relaxation``; Zhang et al. 2018), and bisection looks for the largest radius that
    has one. It is 0 where nothing is proved, as for an image that the model gets wrong; the true radius is larger than
    what this method can show, usually several times. What holds at a radius holds at every smaller one.

    Args:
        model: in evaluation mode, of convolution, batch norm, ReLU, linear, addition, average pooling and flatten.
        images: (N,C,H,W) in [0,1].
        labels: (N,).
        norm: of the ball.
        on_progress: is given the checks done and, about, in all; it may raise to cancel.

    Raises:
        ValueError: if the model has another layer, which it names, or is in training mode, or images or labels are not
            what they should be.
    """
    pick("norm", norm, NORMS)
    check_batch(model, images, labels)
    if len(images) == 0:
        return images.new_zeros(0, dtype=torch.float64)
    with torch.no_grad():
        logits = model(images)
    check_logits(logits, labels)
    found = torch.zeros(len(images), dtype=torch.float64, device=images.device)
    tape, slack = record(model, images), ROUNDING * logits.abs().amax(1).double()
    right = (logits.argmax(1) == labels).nonzero().squeeze(1)
    done, total = 0, CHECKS * len(right)

    def tick(checks: int, count: int) -> None:
        if on_progress is not None:
            on_progress(done + min(checks, CHECKS - 1) * count, total)

    for some in right.split(GROUP):
        search = _Search(tape, images[some].double(), labels[some], norm, slack[some])
        found[some] = search.run(tick)
        done += CHECKS * len(some)
    if on_progress is not None:
        on_progress(total, total)
    return found


def margins(
    model: nn.Module, images: Tensor, labels: Tensor, eps: Tensor, norm: Norm = "Linf", *, linear: bool = True
) -> Tensor:
    """Return a lower bound (N,) of each image's least lead of its label, over its ball of radius ``eps`` (N,).

    Args:
        model: as for ``certify``.
        images: (N,C,H,W) in [0,1].
        labels: (N,).
        eps: the radii.
        norm: of the balls.
        linear: False has interval bounds alone (Gowal et al. 2018): quick and, in most networks, far lower.
    """
    balls = Balls(images.double(), eps.double(), norm)
    return Relaxation(record(model, images), balls, linear=linear).margins(labels)


class _Search:
    """The search for the largest radius of each of a group of images: false position, with Illinois' halving.

    ``proved`` and ``failed`` are the closest radii on either side, and beside them the leads that were found there.
    """

    def __init__(self, tape: Tape, images: Tensor, labels: Tensor, norm: Norm, slack: Tensor):
        self.tape, self.images, self.labels, self.norm, self.slack = tape, images, labels, norm, slack
        self.most = 1.0 if norm == "Linf" else math.sqrt(images[0].numel())
        self.proved, self.above = torch.zeros_like(slack), torch.ones_like(slack)
        self.failed, self.below = torch.full_like(slack, torch.inf), -torch.ones_like(slack)
        self.known = {number: Range.unknown((len(images), *tape.shape(number)), images) for number in tape.rectified}
        self.checks = 0

    def run(self, on_check: Callable[[int, int], None]) -> Tensor:
        """Return the largest radius (n,) that is proved."""
        eps, rows = (
            torch.full_like(self.slack, START[self.norm]),
            torch.arange(len(self.slack), device=self.slack.device),
        )

        def tick() -> None:
            on_check(self.checks, len(self.slack))

        while len(rows):
            balls = Balls(self.images[rows], eps[rows], self.norm)
            known = {number: wide.at(rows) for number, wide in self.known.items()}
            found = Relaxation(self.tape, balls, tick, within=known)
            lead = found.margins(self.labels[rows]) - self.slack[rows]
            safe = lead > 0
            self._learn(rows[safe], eps[rows[safe]], lead[safe], True)
            self._learn(rows[~safe], eps[rows[~safe]], lead[~safe], False)
            for number, wide in self.known.items():  # smaller balls will be tried
                wide.put(rows[~safe], found.ranges[number].at(~safe))
            self.checks += 1
            eps = self._next()
            near, nothing = self.failed <= CLOSE * self.proved, self.failed < NOTHING * START[self.norm]
            rows = (~(near | nothing | (self.proved >= self.most))).nonzero().squeeze(1)
        return self.proved

    def _learn(self, rows: Tensor, eps: Tensor, lead: Tensor, safe: bool) -> None:
        """Take in what a check found; the lead of the other side counts half, so that both sides close in."""
        (side, value), other = (
            ((self.proved, self.above), self.below) if safe else ((self.failed, self.below), self.above)
        )
        side[rows], value[rows] = eps, lead
        other[rows] /= 2

    def _next(self) -> Tensor:
        """Return the radii (n,) to check: where a straight line through both leads is zero, a little off either end."""
        share = self.above / (self.above - self.below)
        line = self.proved + (self.failed - self.proved) * share
        end = math.sqrt(CLOSE)
        inside = torch.minimum(torch.maximum(line, self.proved * end), self.failed / end)
        inside = torch.where(self.proved > 0, inside, self.failed / 2)
        return torch.where(self.failed.isinf(), (2 * self.proved).clamp_max(self.most), inside)
