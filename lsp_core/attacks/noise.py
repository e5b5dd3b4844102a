"""Random noise: the floor that every attack must beat."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_settings, check_steps
from lsp_core.attacks.draws import Draws
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.norms import NORMS
from lsp_core.attacks.pursuit import Pursuit
from lsp_core.types import Norm, OnStep


@dataclass(frozen=True)
class Noise:
    """Uniform draws from the ball; an example that one draw fools is returned as that draw, the others as the last.

    Attributes:
        eps: radius in pixel units.
        draws: how many are tried.
        targeted: ``labels`` are the classes to reach instead of the ones to leave.
        seed: of the draws.
    """

    eps: float
    draws: int = 10
    norm: Norm = "Linf"
    targeted: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.eps, self.norm)
        check_steps(draws=self.draws)

    @property
    def passes(self) -> int:
        """The most forward and backward passes that an example can cost."""
        return self.draws

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return noisy images (N,C,H,W) for ``images`` in [0,1] and ``labels`` (N,).

        Raises:
            ValueError: if the model is in training mode, or images or labels are not what they should be.
        """
        check_batch(model, images, labels)
        draws = Draws(images, self.seed)
        pursuit = Pursuit(model, images, Goal("ce", labels, self.targeted), on_step)
        for draw in range(self.draws):
            images = pursuit.images[pursuit.rows]
            delta = NORMS[self.norm].random(images, self.eps, draws.at(pursuit.rows), draw)
            noisy = (images + delta).clamp(0, 1)
            seen = pursuit.view(noisy, gradient=False)
            pursuit.put(noisy, seen.logits)
            pursuit.report(0, draw)
            pursuit.take(noisy, seen, last=draw + 1 == self.draws)
            if len(pursuit.rows) == 0:
                break
        return pursuit.result
