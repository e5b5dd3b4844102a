"""The fast ensemble: our own sequence, cheap attacks first. It is not AutoAttack, and is never called so."""

from __future__ import annotations

from typing import Any

from lsp_core.attacks.apgd import APGD
from lsp_core.attacks.ensemble import Ensemble
from lsp_core.attacks.pgd import PGD
from lsp_core.attacks.square import Square
from lsp_core.types import Norm, Precision


def fast(eps: float, norm: Norm = "Linf", seed: int = 0, precision: Precision = "auto") -> Ensemble:
    """Return the sequence that finds nearly all that AutoAttack finds in a tenth of its time.

    Every image gets three short gradient attacks that differ in loss and aim, and in the end Square for what gradients
    do not show. In between only those that were brought near the border are tried harder, the nearer the harder:
    elsewhere hundreds of steps found next to nothing. Order, lengths and reach were chosen on training images of three
    models of digits and one of MNIST (docs/speed.md). The way is looked for in ``precision``, by one of the dear runs
    in float32, so that no figure rests on half of it; every success is confirmed in float32.
    """
    shared: dict[str, Any] = {"eps": eps, "norm": norm, "precision": precision}
    sure: dict[str, Any] = {**shared, "precision": "float32"}
    return Ensemble(
        (
            PGD(**shared, steps=10, loss="margin", seed=seed),
            APGD(**shared, steps=30, loss="margin", targets=2, seed=seed),
            APGD(**shared, steps=50, loss="ce", seed=seed),
            APGD(**shared, steps=50, loss="margin", targets=3, seed=seed + 1),
            APGD(**shared, steps=100, loss="ce", targets=4, seed=seed + 2),
            APGD(**sure, steps=100, loss="margin", targets=3, seed=seed + 3),
            APGD(**shared, steps=100, loss="margin", targets=2, restarts=4, seed=seed + 4),
            Square(**shared, queries=200, seed=seed),
        ),
        reach=(0, 0, 0, 0.75, 0.9, 0.93, 0.96, 0),
    )
