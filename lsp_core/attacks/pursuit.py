"""A batch under attack: where each example stands, and which are still open."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_logits
from lsp_core.attacks.goal import Goal
from lsp_core.types import OnStep, Precision, Step


class View(NamedTuple):
    """What the model shows of the open examples: logits (n,K), the goal's value (n,), its gradient, who is fooled."""

    logits: Tensor
    value: Tensor
    gradient: Tensor | None
    fooled: Tensor


class Pursuit:
    """The bookkeeping that all attacks share.

    Attributes:
        result: (N,C,H,W) the images to return; an example that is closed is never written again.
        rows: the numbers of the open examples, in order.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        goal: Goal,
        on_step: OnStep | None = None,
        precision: Precision = "float32",
    ):
        self.model, self.images, self.goal, self.on_step = model, images.detach(), goal, on_step
        self.half = precision == "bfloat16"
        self.result = self.images.clone()
        self.rows = torch.arange(len(images), device=images.device)
        self._logits: Tensor | None = None

    def view(self, current: Tensor, *, gradient: bool = True) -> View:
        """Show the open examples' images to the model; parameter gradients are left alone."""
        goal, slope = self.goal.at(self.rows), None
        with torch.set_grad_enabled(gradient):
            asked = current.detach().requires_grad_(gradient)
            with self._precision():
                logits = self.model(asked).to(current.dtype)
            check_logits(logits, goal.labels)
            value = goal.value(logits)
            if gradient:
                slope = torch.autograd.grad(value.sum(), asked)[0]
                # Where there is no finite gradient there is no way up; NaN would spoil the image for good.
                slope = slope.nan_to_num(0.0)
        logits, fooled = logits.detach(), goal.fooled(logits)
        if self.half and fooled.any():
            logits[fooled], sure = self._confirm(current, goal, fooled)
            fooled = fooled.masked_scatter(fooled, sure)
        return View(logits, value.detach(), slope, fooled)

    def _precision(self) -> AbstractContextManager[object]:
        # What the caller has set, as mixed-precision training does, stays as it is.
        return torch.autocast(self.images.device.type, torch.bfloat16) if self.half else nullcontext()

    def _confirm(self, current: Tensor, goal: Goal, fooled: Tensor) -> tuple[Tensor, Tensor]:
        """Ask again in full precision: half of it may find the way, but decides nothing."""
        with torch.no_grad():
            logits = self.model(current[fooled])
        return logits, goal.at(fooled).fooled(logits)

    def put(self, images: Tensor, logits: Tensor) -> None:
        """Let the open examples stand at ``images``, which the model gives ``logits``."""
        self.result[self.rows] = images
        if self.on_step is not None:
            if self._logits is None:
                self._logits = logits.new_zeros(len(self.result), logits.shape[1])
            self._logits[self.rows] = logits

    def report(self, restart: int, number: int) -> None:
        """Tell ``on_step`` where the whole batch stands."""
        if self.on_step is not None and self._logits is not None:
            self.on_step(Step(restart, number, self.result.clone(), self._logits.clone()))

    def close(self, done: Tensor) -> Tensor | None:
        """Take the open examples marked in ``done`` (n,) out; return those that stay as a mask, None if all do."""
        if not done.any():
            return None
        self.rows = self.rows[~done]
        return ~done
