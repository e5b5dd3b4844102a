"""The referee: AutoAttack (Croce and Hein 2020) as its authors publish it, through their library ``pyautoattack``."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_settings
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.types import Norm, OnStep

BATCH = 256  # the library's runs regroup the survivors in batches of this size


@dataclass(frozen=True)
class AutoAttack:
    """The standard ensemble: APGD-CE, APGD-T, FAB-T and Square with 5,000 queries, each on the survivors.

    It wants four classes or more. ``on_step`` sees only its start and its end: the library shows no more.

    Attributes:
        eps: radius in pixel units.
        seed: of its random choices.
    """

    eps: float
    norm: Norm = "Linf"
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.eps, self.norm)

    @property
    def alone(self) -> bool:
        """It draws from torch's global generator, which another thread would disturb."""
        return True

    @property
    def passes(self) -> int:
        """The most forward and backward passes that an example can cost, about."""
        return 2 * 101 + 9 * 2 * 101 + 9 * 3 * 100 + 5000

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return adversarial images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if the model is in training mode, images or labels are not what they should be, there are fewer
                than four classes, or ``pyautoattack`` is not installed.
        """
        try:
            import pyautoattack  # not needed by anything else here, and not on every machine
        except ImportError:
            raise ValueError("AutoAttack needs the library pyautoattack: pip install pyautoattack.") from None
        check_batch(model, images, labels)
        pursuit = Pursuit(model, images, Goal("ce", labels), on_step)
        if len(images) == 0:
            return pursuit.result
        seen = pursuit.view(pursuit.images, gradient=False)
        pursuit.put(pursuit.images, seen.logits)
        pursuit.report(0, 0)
        if (classes := seen.logits.shape[1]) < 4:
            raise ValueError(f"AutoAttack's targeted losses need four classes or more, but the model has {classes}.")
        if self.eps == 0:
            return pursuit.result  # the library divides by eps
        logging.getLogger("auto-attack").setLevel(logging.WARNING)
        devices = [images.device] if images.is_cuda else []
        with torch.random.fork_rng(devices), _frozen(model):  # the library seeds the global generator
            referee = pyautoattack.AutoAttack(
                model, norm=self.norm, eps=self.eps, version="standard", device=images.device, seed=self.seed
            )
            targets = min(referee.fab.n_target_classes, classes - 1)  # it looks for nine, there or not
            referee.fab.n_target_classes = referee.apgd_targeted.n_target_classes = targets
            # It shapes images in ways that only the usual memory layout allows.
            found = referee.run_standard_evaluation(pursuit.images.contiguous(), labels, batch_size=BATCH)[0]
        found = found.detach()
        pursuit.put(found, pursuit.view(found, gradient=False).logits)
        pursuit.report(0, 1)
        return pursuit.result


@contextlib.contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Keep FAB, which calls ``backward``, from adding to the gradients of the parameters."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in wanted:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_()
