"""The fast ensemble: our own sequence, cheap attacks first. It is not AutoAttack, and is never called so."""

from __future__ import annotations

from lsp_core.attacks.apgd import APGD
from lsp_core.attacks.ensemble import Ensemble
from lsp_core.attacks.pgd import PGD
from lsp_core.attacks.square import Square
from lsp_core.types import Norm


def fast(eps: float, norm: Norm = "Linf", seed: int = 0) -> Ensemble:
    """Return PGD on the margin, then APGD on cross-entropy, towards every class in turn, and Square."""
    return Ensemble(
        (
            PGD(eps, steps=10, norm=norm, loss="margin", seed=seed),
            APGD(eps, steps=30, norm=norm, seed=seed),
            APGD(eps, steps=20, norm=norm, loss="dlr", targets=9, seed=seed),
            Square(eps, queries=500, norm=norm, seed=seed),
        )
    )
