"""The fast ensemble: our own sequence, cheap attacks first. It is not AutoAttack, and is never called so."""

from __future__ import annotations

from typing import Any

from lsp_core.attacks.apgd import APGD
from lsp_core.attacks.ensemble import Ensemble
from lsp_core.attacks.pgd import PGD
from lsp_core.attacks.square import Square
from lsp_core.types import Norm, Precision


def fast(eps: float, norm: Norm = "Linf", seed: int = 0, precision: Precision = "bfloat16") -> Ensemble:
    """Return the sequence that finds nearly all that AutoAttack finds in a fraction of its time.

    PGD on the margin takes what is easy. APGD on the cross-entropy, then towards the likeliest wrong classes on the
    margin, takes what a good start and a hundred steps can take; the next runs are longer, because on rough models
    more steps found more than more starts did. Square is there for what gradients do not show. The way is looked for
    in ``precision``; every success is confirmed in float32.
    """
    shared: dict[str, Any] = {"eps": eps, "norm": norm, "precision": precision}
    return Ensemble(
        (
            PGD(**shared, steps=10, loss="margin", seed=seed),
            APGD(**shared, steps=100, loss="ce", seed=seed),
            APGD(**shared, steps=100, loss="margin", targets=3, seed=seed + 1),
            APGD(**shared, steps=250, loss="ce", targets=2, seed=seed + 2),
            Square(**shared, queries=500, seed=seed),
        )
    )
