"""How far a measured accuracy can be from the truth."""

from __future__ import annotations

import math


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson_interval(50, 100)]
    [0.404, 0.596]
    """
    if n == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    centre, spread = correct + z * z / 2, z * math.sqrt(correct * (n - correct) / n + z * z / 4)
    return max(0.0, (centre - spread) / (n + z * z)), min(1.0, (centre + spread) / (n + z * z))
