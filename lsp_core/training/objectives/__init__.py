"""Training objectives by name: a new one is a file here and a line in ``OBJECTIVES``."""

from __future__ import annotations

from collections.abc import Callable

from lsp_core.training.objectives.fast_at import FastAT
from lsp_core.training.objectives.mart import MART
from lsp_core.training.objectives.objective import Objective
from lsp_core.training.objectives.pgd_at import PGDAT
from lsp_core.training.objectives.standard import Standard
from lsp_core.training.objectives.trades import TRADES

# From the PGD steps and the label smoothing of a training to its objective.
OBJECTIVES: dict[str, Callable[[int, float], Objective]] = {
    "standard": lambda _steps, smoothing: Standard(smoothing),
    "pgd-at": PGDAT,
    "trades": TRADES,
    "mart": MART,
    "fast-at": FastAT,
}

__all__ = ["OBJECTIVES", "Objective"]
