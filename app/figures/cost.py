"""What a measurement will cost, said before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from lsp_core.attacks.contract import passes
from lsp_core.attacks.table import parse_attack
from lsp_core.evaluation.entry import Entry

MINUTE, HOUR = 60.0, 3600.0


def costs(attack: str, norm: str, eps: float, n: int, before: Sequence[Entry]) -> str:
    """Say how many passes an evaluation takes at most, and how long at the speed of those before it."""
    most = n * passes(parse_attack(attack, eps, norm))
    said = f"At most {most:,} passes through the model"
    done = sum(entry.passes for entry in before)
    if done == 0:
        return f"{said}; fewer, as images are fooled."
    speed = sum(entry.seconds for entry in before) / done
    return f"{said}, {lasts(most * speed)} at the speed of its evaluations so far; less, as images are fooled."


def lasts(seconds: float) -> str:
    """Write a length of time as exactly as it can be foretold.

    >>> lasts(0.4), lasts(75), lasts(5000)
    ('1 s', '1 min', '1.4 h')
    """
    if seconds < MINUTE:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / MINUTE)} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"
