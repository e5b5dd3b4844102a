"""Count what an attack asks of a model."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn

OnProgress = Callable[[int, int], None]
FEWEST = 4  # rows of a pass on a processor: for fewer BLAS adds up in another order, so a result would depend on them


class PassCounter(nn.Module):
    """The model, counting the images that go forward through it and the gradients that come back.

    It has the model's ``scout``, if there is one. ``on_pass`` is called with the number after every forward pass; what
    it raises ends the attack.
    """

    def __init__(self, model: nn.Module, on_pass: Callable[[int], None] | None = None):
        super().__init__()
        self.model, self.on_pass = model, on_pass
        self.forward_passes = self.backward_passes = 0
        self.training = False  # not by eval(), which would change the model's own layers
        scout = getattr(model, "scout", None)
        if scout is not None:
            self.scout = lambda images: self._counted(scout, images)

    @property
    def total(self) -> int:
        """Forward and backward passes so far."""
        return self.forward_passes + self.backward_passes

    def forward(self, images: Tensor) -> Tensor:
        """Return the model's logits (N,K)."""
        return self._counted(self.model, images)

    def _counted(self, model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        count = len(images)
        if images.is_cuda or not 0 < count < FEWEST:
            logits = model(images)
        else:
            logits = model(images[torch.arange(FEWEST).clamp(max=count - 1)])[:count]
        self.forward_passes += count
        if logits.requires_grad:
            logits.register_hook(self._back)
        if self.on_pass is not None:
            self.on_pass(self.total)
        return logits

    def _back(self, gradient: Tensor) -> None:
        self.backward_passes += len(gradient)


class Stopped(Exception):
    """Another batch failed or was cancelled, so this one need not go on."""


class Meter:
    """What the batches at work have asked of a model so far, told to one listener.

    Attributes:
        done: passes of the batches that are finished.
        left: the most that are still to come, if no further image is fooled.
    """

    def __init__(self, listener: OnProgress | None):
        self.listener, self.done, self.left = listener, 0, 0
        self._counters: list[PassCounter] = []
        self._stopped, self._turn = threading.Event(), threading.Lock()

    def open(self, model: nn.Module) -> PassCounter:
        """Return a counter for a batch that begins."""
        counter = PassCounter(model, self._tell)
        with self._turn:
            self._counters.append(counter)
        return counter

    def close(self, counter: PassCounter, done: int, left: int) -> None:
        """Take note that a batch has ended, and of what is done and left in all."""
        with self._turn:
            self._counters.remove(counter)
            self.done, self.left = done, left

    def stop(self) -> None:
        """End the batches at work at their next pass."""
        self._stopped.set()

    def _tell(self, _: int) -> None:
        if self._stopped.is_set():
            raise Stopped
        if self.listener is not None:
            with self._turn:  # a listener need not be fit for several threads at once
                spent = sum(counter.total for counter in self._counters)
                self.listener(self.done + min(spent, self.left), self.done + self.left)
