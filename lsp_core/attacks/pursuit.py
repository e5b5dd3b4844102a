"""A batch under attack: where each example stands, and which are still open."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_logits
from lsp_core.attacks.goal import Goal
from lsp_core.precision import pick_precision
from lsp_core.types import OnStep, Precision, Step

PATIENCE = 8  # steps between two looks at who is fooled, on a GPU: each look makes the processor wait for it


class View(NamedTuple):
    """What the model shows of the open examples: logits (n,K), the goal's value (n,), its gradient, who is fooled."""

    logits: Tensor
    value: Tensor
    gradient: Tensor | None
    fooled: Tensor


class Pursuit:
    """The bookkeeping that all attacks share.

    The way is looked for in ``precision``, and by the model's ``scout`` where it has one (see ``Scouted``). Neither
    decides anything: who seems fooled is shown to the model itself, in the images' own precision.

    Attributes:
        result: (N,C,H,W) the images to return; an example that is closed is never written again.
        rows: the numbers of the open examples, in order.
        open: what is wanted of them.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        goal: Goal,
        on_step: OnStep | None = None,
        precision: Precision = "float32",
    ):
        self.model, self.images, self.on_step = model, images.detach(), on_step
        self.result = self.images.clone()
        self.rows = torch.arange(len(images), device=images.device)
        self.goal = goal
        self._look = getattr(model, "scout", model)
        self._half = pick_precision(precision, images.device) == "bfloat16"
        self._sure = self._look is model and not self._half
        self._logits: Tensor | None = None
        # Who watches sees the truth at every step; else a GPU is not asked for an answer at each.
        self._patience = PATIENCE if images.is_cuda and on_step is None else 1
        self._views = 0
        self._caught: _Caught | None = None

    @property
    def goal(self) -> Goal:
        """What is wanted of the whole batch."""
        return self._goal

    @goal.setter
    def goal(self, goal: Goal) -> None:
        self._goal = goal
        self.open = goal if len(self.rows) == len(self.images) else goal.at(self.rows)

    def view(self, current: Tensor, *, gradient: bool = True) -> View:
        """Show the open examples' images to the model; parameter gradients are left alone."""
        goal, slope = self.open, None
        with torch.set_grad_enabled(gradient):
            asked = current.detach().requires_grad_(gradient)
            with self._precision():
                logits = self._look(asked).to(current.dtype)
            if self._views % self._patience == 0:
                check_logits(logits, goal.labels)
            value = goal.value(logits)
            if gradient:
                slope = torch.autograd.grad(value.sum(), asked)[0]
                # Where there is no finite gradient there is no way up; NaN would spoil the image for good.
                slope = slope.nan_to_num(0.0)
        self._views += 1
        logits, fooled = logits.detach(), goal.fooled(logits)
        if self._patience == 1 and not self._sure and fooled.any():
            logits[fooled], sure = self._confirm(current[fooled], goal.at(fooled))
            fooled = fooled.masked_scatter(fooled, sure)
        return View(logits, value.detach(), slope, fooled)

    def _precision(self) -> AbstractContextManager[object]:
        # What the caller has set, as mixed-precision training does, stays as it is.
        return torch.autocast(self.images.device.type, torch.bfloat16) if self._half else nullcontext()

    def _confirm(self, images: Tensor, goal: Goal) -> tuple[Tensor, Tensor]:
        """Ask the model itself in full precision: what is cheaper may find the way, but decides nothing."""
        with torch.no_grad():
            logits = self.model(images)
        return logits, goal.fooled(logits)

    def put(self, images: Tensor, logits: Tensor | None) -> None:
        """Let the open examples stand at ``images``, which the model gives ``logits``; None where nobody watches."""
        self.result[self.rows] = images
        if self.on_step is not None and logits is not None:
            if self._logits is None:
                self._logits = logits.new_zeros(len(self.result), logits.shape[1])
            self._logits[self.rows] = logits

    def report(self, restart: int, number: int) -> None:
        """Tell ``on_step`` where the whole batch stands."""
        if self.on_step is not None and self._logits is not None:
            self.on_step(Step(restart, number, self.result.clone(), self._logits.clone()))

    def take(self, current: Tensor, seen: View, last: bool = False) -> Tensor | None:
        """Close the open examples that ``seen`` shows fooled at ``current``, where they then stand.

        Returns which of them (n,) stay, None if all do. A GPU is asked every few steps and at the ``last``; an example
        that is fooled in between is kept as it was then, and goes on in vain.
        """
        if self._patience == 1:
            return self._close(seen.fooled, current, seen.logits)
        self._caught = _Caught.add(self._caught, current, seen.fooled)
        return self.flush() if last or self._views % self._patience == 0 else None

    def flush(self) -> Tensor | None:
        """Close what was fooled and is not yet taken out; a run that ends must not leave any."""
        caught, self._caught = self._caught, None
        if caught is None or not caught.fooled.any():
            return None
        done = caught.fooled
        if not self._sure:
            done = done.masked_scatter(done, self._confirm(caught.images[done], self.open.at(done))[1])
        return self._close(done, caught.images)

    def _close(self, done: Tensor, images: Tensor, logits: Tensor | None = None) -> Tensor | None:
        if not done.any():
            return None
        rows, stay = self.rows[done], ~done
        self.result[rows] = images[done]
        if self._logits is not None and logits is not None:
            self._logits[rows] = logits[done]
        self.rows, self.open = self.rows[stay], self.open.at(stay)
        return stay


class _Caught(NamedTuple):
    """Open examples (n) that are ``fooled``, each as the image that did it."""

    images: Tensor
    fooled: Tensor

    @classmethod
    def add(cls, before: _Caught | None, current: Tensor, fooled: Tensor) -> _Caught:
        if before is None:
            return cls(current, fooled)
        newly = (fooled & ~before.fooled).view(-1, *[1] * (current.dim() - 1))
        return cls(torch.where(newly, current, before.images), before.fooled | fooled)
