"""How one figure varies from training to training."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """One value per seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Their sample standard deviation, None of a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None
