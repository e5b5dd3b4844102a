"""Attacks by the names that people type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from lsp_core.attacks.apgd import APGD
from lsp_core.attacks.autoattack import AutoAttack
from lsp_core.attacks.ensemble import Ensemble
from lsp_core.attacks.fast import fast
from lsp_core.attacks.fgsm import FGSM
from lsp_core.attacks.noise import Noise
from lsp_core.attacks.pgd import PGD
from lsp_core.attacks.square import Square
from lsp_core.attacks.transfer import Transfer
from lsp_core.types import Attack, Norm, pick


class Named(NamedTuple):
    """What a name stands for: what builds it, which settings besides eps, norm and seed it takes, and its own."""

    build: Callable[..., Attack]
    takes: tuple[str, ...] = ()
    own: tuple[tuple[str, Any], ...] = ()


def _transfer(
    eps: float, norm: Norm, seed: int, source: tuple[str, nn.Module] | None = None, steps: int = 20
) -> Attack:
    if source is None:
        raise ValueError("transfer attacks with what fools another model: name that checkpoint as its source.")
    return Transfer(PGD(eps, norm=norm, seed=seed, steps=steps, early_stop=False), source[1], source[0])


def _fgsm(eps: float, norm: Norm, seed: int, loss: str = "ce") -> Attack:  # noqa: ARG001  it draws nothing
    return FGSM(eps, norm, loss)


NAMED = {
    "noise": Named(Noise),
    "fgsm": Named(_fgsm, ("loss",)),
    "pgd": Named(PGD, ("steps", "restarts", "loss"), (("steps", 20),)),
    "apgd": Named(APGD, ("steps", "restarts")),
    "apgd-dlr": Named(APGD, ("steps", "restarts"), (("loss", "dlr"),)),
    "apgd-t": Named(APGD, ("steps", "restarts"), (("loss", "dlr"), ("targets", 9))),
    "square": Named(Square, ("queries",)),
    "transfer": Named(_transfer, ("source", "steps")),
    "fast": Named(fast),
    "autoattack": Named(AutoAttack),
}


def parse_attack(text: str, eps: float, norm: str = "Linf", seed: int = 0, **settings: Any) -> Attack:
    """Build an attack from its name, or an ensemble from several joined by ``+``.

    Args:
        text: for example "pgd" or "pgd+square".
        eps: radius in pixel units.
        norm: of the ball.
        seed: of every random choice.
        settings: steps, restarts, loss, queries or source; each name takes those that it has, None is its default.

    Raises:
        ValueError: if a name is unknown, or a setting cannot be meant.
    """
    parts = []
    for name in text.split("+"):
        named = pick("attack", name.strip(), NAMED)
        given = {key: settings[key] for key in named.takes if settings.get(key) is not None}
        parts.append(named.build(eps=eps, norm=norm, seed=seed, **{**dict(named.own), **given}))
    return parts[0] if len(parts) == 1 else Ensemble(tuple(parts))
