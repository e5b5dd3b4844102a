"""Attacks by the names that people type: a new attack is a file of its own and a row in ``ATTACKS``.

All that the rest of the project says of an attack stands in its row, or follows from it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
from lsp_core.types import Attack, Norm, Record, pick

Role = Literal["floor", "quick", "strong", "referee"]
EVIDENCE: tuple[Role, ...] = ("strong", "referee")  # roles of attacks that say more than one gradient attack does


@dataclass(frozen=True)
class Kind:
    """What a name stands for.

    Attributes:
        build: makes the attack from eps, norm, seed (where it draws anything) and settings of its own.
        role: ``floor``, which every attack must beat; ``quick``, one attack, which may be fooled itself; ``strong``,
            many in sequence; ``referee``, other people's code, which has the last word.
        about: what runs, for people who see the name alone; "" if the name says it.
        fixed: settings that the name stands for.
        usual: settings that a caller may change, where the name's default is another than the attack's.
        short: turns the label into what a button has room for.
        gradient: whether it asks the attacked model for one.
    """

    build: Callable[..., Attack]
    role: Role
    about: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    short: Callable[[str], str] = str
    gradient: bool = True

    @property
    def takes(self) -> tuple[str, ...]:
        """The settings that can be given, besides eps, norm and seed."""
        return tuple(name for name in self._parameters if name not in ("eps", "norm", "seed", *self.fixed))

    def make(self, eps: float, norm: str = "Linf", seed: int = 0, **settings: Any) -> Attack:
        """Build the attack; a setting that is None has its default."""
        given = {key: value for key, value in settings.items() if value is not None}
        drawn = {"seed": seed} if "seed" in self._parameters else {}
        return self.build(eps=eps, norm=norm, **drawn, **{**self.usual, **given, **self.fixed})

    @property
    def _parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.build).parameters)


def _transfer(
    eps: float, norm: Norm, seed: int, source: tuple[str, nn.Module] | None = None, steps: int = 20
) -> Attack:
    if source is None:
        raise ValueError("transfer attacks with what fools another model: name that checkpoint as its source.")
    return Transfer(PGD(eps, norm=norm, seed=seed, steps=steps, early_stop=False), source[1], source[0])


# From the weakest evidence to the strongest, which is their rank.
ATTACKS: dict[str, Kind] = {
    "noise": Kind(Noise, "floor", gradient=False),
    "transfer": Kind(
        _transfer,
        "quick",
        "what fools another model",
        short=lambda label: f"{label.partition(' from ')[0]} transferred",
        gradient=False,
    ),
    "square": Kind(Square, "quick", "random search, without gradients", gradient=False),
    "fgsm": Kind(FGSM, "quick"),
    "pgd": Kind(PGD, "quick", usual={"steps": 20}),
    "apgd": Kind(APGD, "quick"),
    "apgd-dlr": Kind(APGD, "quick", fixed={"loss": "dlr"}),
    "apgd-t": Kind(APGD, "quick", fixed={"loss": "dlr", "targets": 9}),
    "fast": Kind(
        fast,
        "strong",
        "our own sequence, not AutoAttack; each attack on what the ones before left standing",
        short=lambda _: "fast ensemble",
    ),
    "autoattack": Kind(
        AutoAttack,
        "referee",
        "the standard sequence APGD-CE, APGD-T, FAB-T and Square with 5,000 queries, by its authors' library",
    ),
}


def kind(name: str) -> Kind | None:
    """Return the row of a name; several names joined by ``+`` have one between them, and an unknown name has none.

    >>> kind("fgsm+square").role, kind("mine")
    ('strong', None)
    """
    if "+" in name:
        return Kind(functools.partial(parse_attack, name), "strong", ATTACKS["fast"].about)
    return ATTACKS.get(name)


def rank(name: str) -> float:
    """Return how much a figure under an attack says: its place in ``ATTACKS``; of several joined it is below ``fast``.

    >>> sorted(["autoattack", "pgd", "mine", "fgsm+square", "fast"], key=rank)
    ['mine', 'pgd', 'fgsm+square', 'fast', 'autoattack']
    """
    places = {known: place for place, known in enumerate(ATTACKS)}
    return places["fast"] - 0.5 if "+" in name else places.get(name, -1)


def parse_attack(text: str, eps: float, norm: str = "Linf", seed: int = 0, **settings: Any) -> Attack:
    """Build an attack from its name, or an ensemble from several joined by ``+``.

    Args:
        text: for example "pgd" or "pgd+square".
        eps: radius in pixel units.
        norm: of the ball.
        seed: of every random choice.
        settings: those of the attacks (see ``Kind.takes``); each gets those that it takes, and None is its default.

    Raises:
        ValueError: if a name is unknown, none of the attacks takes a setting, or one cannot be meant.
    """
    return parse_attacks([text], [eps], norm, seed, **settings)[0]


def parse_attacks(
    texts: list[str], radii: list[float], norm: str = "Linf", seed: int = 0, **settings: Any
) -> list[Attack]:
    """Build each of several attacks at each radius, radius by radius; a setting must be taken by one of them.

    Raises:
        ValueError: as ``parse_attack``.
    """
    named = [[name.strip() for name in text.split("+")] for text in texts]
    kinds = {name: pick("attack", name, ATTACKS) for names in named for name in names}
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if not any(key in own.takes for own in kinds.values()):
            taken = [f"{name} takes {', '.join(own.takes) or 'none'}" for name, own in kinds.items()]
            raise ValueError(f"{key} is given, but no attack here takes it: {'; '.join(taken)}.")

    def build(names: list[str], eps: float) -> Attack:
        parts = [kinds[name].make(eps, norm, seed, **_taken(kinds[name], given)) for name in names]
        return parts[0] if len(parts) == 1 else Ensemble(tuple(parts))

    return [build(names, eps) for eps in radii for names in named]


def _taken(own: Kind, given: Record) -> Record:
    return {key: value for key, value in given.items() if key in own.takes}
