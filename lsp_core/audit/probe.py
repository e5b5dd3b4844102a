"""A model under audit, and what the attacks on it did, each run once: several checks look at the same."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lsp_core.attacks.describe import label
from lsp_core.attacks.ensemble import way
from lsp_core.attacks.losses import margin
from lsp_core.audit.arsenal import QUICK, Arsenal, Form
from lsp_core.audit.attempt import Attempt
from lsp_core.audit.report import Finding
from lsp_core.evaluation import predict
from lsp_core.evaluation.batches import Batches
from lsp_core.evaluation.passes import Meter
from lsp_core.types import Attack, Norm


class LeftOut(Exception):
    """A check that cannot be computed; the message is the reason."""


class Probe:
    """A model, the images (M,C,H,W) of ``n`` that it gets right, and the attempts so far.

    Attributes:
        original: the model as it was given.
        connected: whether a gradient reaches the pixels at all. If none does, attacks see a zero gradient instead.
        attacks: those of the audit; a check may run others.
        excess: how far each attack that ran left its ball or [0,1], at most.
        standing: (M,) bool, which images every attack within eps has left right at every iterate, so far.
        ran: the names of those attacks.
        tick: called at every iterate of every attack; what it raises ends the audit.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        eps: float,
        norm: Norm = "Linf",
        *,
        form: Form = QUICK,
        twin: nn.Module | None = None,
        seed: int = 0,
        batch_size: int = 256,
        workers: int | None = None,
        tick: Callable[[], None] = lambda: None,
        only_right: bool = True,
    ):
        self.eps, self.norm, self.form, self.twin, self.seed, self.tick = eps, norm, form, twin, seed, tick
        self.original, self.batch_size, self.n = model, batch_size, len(images)
        logits = predict(model, images, batch_size)
        right = logits.argmax(1) == labels
        right |= not only_right
        self.images, self.labels, self.logits = images[right], labels[right], logits[right]
        self.classes = logits.shape[1]
        self.attacks = Arsenal(eps, norm, form, self.classes, seed)
        self.connected = _reaches_pixels(model, images[:1])
        self.model = model if self.connected else Disconnected(model).eval()
        self.batches = Batches(self.model, images, batch_size, workers)
        self.excess: dict[Attack, float] = {}
        self.standing, self.ran = torch.ones_like(self.labels, dtype=torch.bool), dict[str, None]()
        self._attempts: dict[Attack, Attempt] = {}
        self._best: Tensor | None = None

    def predict(self, images: Tensor) -> Tensor:
        """Return logits (N,K), batch by batch."""
        return predict(self.model, images, self.batch_size)

    def run(self, attack: Attack) -> Attempt:
        """Run an attack on all images, or return what it did when it was last asked for."""
        if attack not in self._attempts:
            self._attempts[attack] = self._attempt(attack, torch.ones_like(self.labels, dtype=torch.bool))
        return self._attempts[attack]

    def left_of(self, rows: Tensor, attack: Attack) -> Tensor:
        """Return which of the images marked in ``rows`` (M,) an attack leaves standing, at every iterate."""
        left = rows.clone()
        if rows.any():
            left[rows] = self._attempt(attack, rows).unbroken
        return left

    def surviving(self, *attacks: Attack) -> Tensor:
        """Return which images (M,) survive all of some attacks, at every iterate: the worst case, per example."""
        left = torch.ones_like(self.labels, dtype=torch.bool)
        for attack in attacks:
            left &= self.run(attack).unbroken
        return left

    def best(self) -> Tensor:
        """Return which images (M,) survive every ordinary attack, and then the strong ones in their order."""
        if self._best is None:
            ordinary, strong = self.attacks.ordinary(), self.attacks.strong()
            self._best, before = self.surviving(*ordinary), margin(self.logits, self.labels)
            share = way(before, torch.stack([self.run(attack).margins.amax(0) for attack in ordinary]).amax(0))
            for place, attack in enumerate(strong.attacks):
                rows = self._best & (share >= strong.least(place))
                if rows.any():
                    attempt = self._attempt(attack, rows)
                    self._best[rows] = attempt.unbroken
                    share[rows] = share[rows].maximum(way(before[rows], attempt.margins.amax(0)))
        return self._best

    def keep(self, attack: Attack, excess: float) -> None:
        """Remember how far an attack left its ball."""
        self.excess[attack] = max(excess, self.excess.get(attack, excess))

    def _attempt(self, attack: Attack, rows: Tensor) -> Attempt:
        meter, turn = Meter(None), threading.Lock()

        def tick() -> None:
            with turn:  # a listener need not be fit for several threads at once
                self.tick()

        def on(some: Tensor) -> Attempt:
            return Attempt.of(attack, meter.open(self.model), self.images[some], self.labels[some], tick)

        attempt = Attempt.joined(list(self.batches.work(on, rows.nonzero().squeeze(1), meter.stop)))
        self.keep(attack, attempt.excess)
        if attack.norm == self.norm and attack.eps <= self.eps:
            self.standing[rows] &= attempt.unbroken
            self.ran[label(attack)] = None
        return attempt


Look = Callable[[Probe], Finding]  # a check; it may raise ``LeftOut``


class Disconnected(nn.Module):
    """A model whose logits do not depend on its input in the eyes of autograd: the gradient is zero, not an error."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N,K), unchanged."""
        logits: Tensor = self.model(images).detach().clone() + 0 * images.flatten(1).sum(1, keepdim=True)
        return logits


def _reaches_pixels(model: nn.Module, images: Tensor) -> bool:
    """Return whether a gradient of the logits reaches the pixels at all."""
    with torch.enable_grad():
        images = images.detach().clone().requires_grad_()
        logits: Tensor = model(images)
        if not logits.requires_grad:
            return False
        return torch.autograd.grad(logits.sum(), images, allow_unused=True)[0] is not None
