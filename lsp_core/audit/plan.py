"""How much of everything an audit does: the quick form and the full one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Plan:
    """How much of everything: the quick form is for two CPU cores and a small network, the full one for evidence."""

    name: Literal["quick", "full"]
    steps: int  # of an ordinary PGD run
    marks: tuple[int, ...]  # steps of the long run at which the accuracy is read
    restarts: tuple[int, ...]
    restart_steps: int
    unbounded_steps: int
    targets: int
    target_steps: int
    queries: int
    draws: int
    radii: int  # between eps and the radius that holds a grey image


QUICK = Plan("quick", 20, (15, 30, 60), (1, 3, 5), 10, 100, 3, 15, 500, 50, 2)
FULL = Plan("full", 50, (10, 20, 50, 100), (1, 5, 10), 20, 100, 9, 50, 5000, 100, 5)
