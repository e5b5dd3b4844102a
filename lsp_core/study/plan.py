"""What a run asks to be measured, and what of it is still to be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsp_core.attacks import PGD
from lsp_core.attacks.describe import settings
from lsp_core.attacks.table import parse_attack
from lsp_core.study.preservation import K
from lsp_core.study.preset import Run
from lsp_core.types import Attack, Record

CURVE = (0.25, 0.5, 1.0, 1.5, 2.0)  # radii, as multiples of the one that was trained for
FEW = 500  # images of the curve and of the neighbourhoods, of the n that the preset asks for


@dataclass(frozen=True)
class Plan:
    """The measurements of a run, with their settings.

    Attributes:
        attacks: by their names in the preset; the first is for the last epoch's checkpoint, too.
        curve: PGD at several radii.
        crafting: makes the images of ``preservation`` and ``directions``: all steps, for every model alike.
        n: test images under ``attacks``.
    """

    attacks: dict[str, Attack]
    curve: tuple[Attack, ...]
    crafting: Attack
    n: int

    @classmethod
    def of(cls, run: Run, eps: float, images: int) -> Plan:
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
        return cls(
            attacks={name: parse_attack(name, eps, seed=run.seed) for name in run.attacks},
            curve=tuple(
                PGD(radius, steps=20, seed=run.seed) for radius in dict.fromkeys(min(1.0, part * eps) for part in CURVE)
            ),
            crafting=PGD(eps, steps=20, early_stop=False, seed=run.seed),
            n=n,
        )

    @property
    def few(self) -> int:
        """Test images of the curve and of the neighbourhoods."""
        return min(self.n, FEW)

    @property
    def first(self) -> Attack:
        """The attack on the last epoch's checkpoint."""
        return next(iter(self.attacks.values()))

    def missing(self, record: Record) -> list[str]:
        """Return the parts that a run's record lacks, or holds with another n or other settings; attacks by name.

        >>> run = Run("digits", "standard", "LSP", 0, {}, ("noise", "fgsm"), 100)
        >>> entry = {"name": "fgsm", "n": 100, "settings": settings(parse_attack("fgsm", 0.1))}
        >>> Plan.of(run, 0.1, 599).missing({"training": {}, "evaluations": [entry], "preservation": {"n": 100}})
        ['noise', 'last', 'curve', 'directions']
        """
        entries = {entry["name"]: [entry] for entry in record.get("evaluations", ())}
        last = [record["last"]] if "last" in record else []
        there = {
            "training": "training" in record,
            **{name: _are(entries.get(name, ()), [attack], self.n) for name, attack in self.attacks.items()},
            "last": _are(last, [self.first], self.n),
            "curve": _are(record.get("curve", ()), self.curve, self.few),
            **{part: record.get(part, {}).get("n") == self.few for part in ("preservation", "directions")},
        }
        return [part for part, held in there.items() if not held]


def _are(entries: Sequence[Record], attacks: Sequence[Attack], n: int) -> bool:
    """Whether the entries are of these attacks on the first n images."""
    return [(entry["settings"], entry["n"]) for entry in entries] == [(settings(attack), n) for attack in attacks]
