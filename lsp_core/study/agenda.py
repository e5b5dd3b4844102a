"""What a run asks to be measured, and what of it is still to be done."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lsp_core.attacks import parse_attack
from lsp_core.attacks.describe import label, settings
from lsp_core.evaluation.entry import Entry
from lsp_core.study.grid import Run
from lsp_core.study.preservation import K
from lsp_core.study.result import Result
from lsp_core.types import Attack

CURVE = (0.25, 0.5, 1.0, 1.5, 2.0)  # radii, as multiples of the one that was trained for
CURVE_BY, STEPS = "pgd", 20  # what the curve and the neighbourhoods are attacked with
FEW = 500  # images of the curve and of the neighbourhoods, of the n that the preset asks for


@dataclass(frozen=True)
class Agenda:
    """The measurements of a run, with their settings.

    Attributes:
        attacks: by their names in the preset; the first is for the last epoch's checkpoint, too.
        curve: PGD at several radii.
        crafting: makes the images of which the neighbourhoods are looked at: all steps, for every model alike.
        n: test images under ``attacks``.
    """

    attacks: dict[str, Attack]
    curve: tuple[Attack, ...]
    crafting: Attack
    n: int

    @classmethod
    def of(cls, run: Run, eps: float, images: int) -> Agenda:
        """Return what a run asks for.

        Args:
            run: of a preset.
            eps: the radius of its training.
            images: how many the test set has.

        Raises:
            ValueError: if an attack cannot be meant, or there are too few images.
        """
        n = min(run.n, images)
        if n <= 2 * K:
            raise ValueError(f"{run.dataset} has {n} test images, but {K} neighbours need more than {2 * K}.")
        radii = dict.fromkeys(min(1.0, part * eps) for part in CURVE)
        return cls(
            attacks={name: parse_attack(name, eps, seed=run.seed) for name in run.attacks},
            curve=tuple(parse_attack(CURVE_BY, radius, seed=run.seed, steps=STEPS) for radius in radii),
            crafting=parse_attack(CURVE_BY, eps, seed=run.seed, steps=STEPS, early_stop=False),
            n=n,
        )

    @property
    def few(self) -> int:
        """Test images of the curve and of the neighbourhoods."""
        return min(self.n, FEW)

    @property
    def first(self) -> str:
        """The name of the attack on the last epoch's checkpoint."""
        return next(iter(self.attacks))

    def curve_so_far(self, known: Result) -> tuple[Entry, ...]:
        """Return what a result has of the curve as it is asked for, from the smallest radius on."""
        pairs = zip(known.curve, self.curve, strict=False)
        held = itertools.takewhile(lambda pair: _are(pair[:1], pair[1:], self.few), pairs)
        return tuple(entry for entry, _ in held)

    def missing(self, known: Result) -> list[str]:
        """Return the parts that a result lacks, or holds with another n or other settings; attacks by their names."""
        under, neighbors = known.under, (known.preservation, known.directions)
        last = [known.last] if known.last else []
        there = {
            "training": known.training is not None,
            **{
                name: _are([under[name]] if name in under else [], [attack], self.n)
                for name, attack in self.attacks.items()
            },
            "last": _are(last, [self.attacks[self.first]], self.n),
            "curve": _are(known.curve, self.curve, self.few),
            "neighbours": all(part is not None and part.n == self.few for part in neighbors),
        }
        return [part for part, held in there.items() if not held]


def crafted_by() -> str:
    """Return what people call the attack that the curve and the neighbourhoods are measured with."""
    return label(parse_attack(CURVE_BY, 0.1, steps=STEPS))


def _are(entries: Sequence[Entry], attacks: Sequence[Attack], n: int) -> bool:
    """Whether the entries are of these attacks on the first n images."""
    return [(entry.settings, entry.n) for entry in entries] == [(settings(attack), n) for attack in attacks]
