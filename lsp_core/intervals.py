"""How far a measured accuracy can be from the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable

Z = 1.959963984540054  # 97.5 % of a normal distribution lies below


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson_interval(50, 100)]
    [0.404, 0.596]
    """
    if n == 0:
        return 0.0, 1.0
    centre, spread = correct + Z * Z / 2, Z * math.sqrt(correct * (n - correct) / n + Z * Z / 4)
    return max(0.0, (centre - spread) / (n + Z * Z)), min(1.0, (centre + spread) / (n + Z * Z))


def paired_interval(a: Iterable[bool], b: Iterable[bool]) -> tuple[float, float]:
    """Return the 95 % interval of the share of ``a`` minus the share of ``b``, both seen on the same examples.

    Newcombe 1998, method 10: the Wilson intervals of both shares are joined as two correlated errors. The correlation
    is phi of the 2 by 2 table, where it is positive with a continuity correction towards 0. Wald's interval uses only
    the examples where the two differ, and has no width where there are none; this one has.

    Args:
        a: one truth value per example: whether the first model, or attack, left it right.
        b: the same of the second, in the same order.

    Raises:
        ValueError: if there are not as many of one as of the other.

    >>> a, b = [True] * 19 + [False] * 22, [True] * 14 + [False] * 27
    >>> [round(bound, 3) for bound in paired_interval(a, b)]
    [0.011, 0.226]
    """
    first, second = [bool(value) for value in a], [bool(value) for value in b]
    if len(first) != len(second):
        raise ValueError(f"a has {len(first)} examples and b {len(second)}, but they must be the same examples.")
    if (n := len(first)) == 0:
        return -1.0, 1.0
    ones, others = sum(first), sum(second)
    both = sum(x and y for x, y in zip(first, second, strict=True))
    phi = _correlation(both, ones - both, others - both, n - ones - others + both)
    p, q = ones / n, others / n
    (p_low, p_high), (q_low, q_high) = wilson_interval(ones, n), wilson_interval(others, n)
    return p - q - _joined(p - p_low, q_high - q, phi), p - q + _joined(p_high - p, q - q_low, phi)


def mean_difference_interval(differences: Iterable[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences: one per example, each from -1 to 1.

    Bonett and Price 2012, here also for differences that are means over several trainings: an example is added on which
    the first wins and one on which the second does, so that the interval has width where no difference was seen, and
    then it is the mean ± 1.96 standard errors. It speaks of other examples, given these very trainings.

    Raises:
        ValueError: if a difference is not from -1 to 1.

    >>> [round(bound, 4) for bound in mean_difference_interval([1] * 6 + [-1] * 16 + [0] * 139)]
    [-0.1195, -0.0032]
    """
    values = [float(value) for value in differences]
    if odd := [value for value in values if not -1 <= value <= 1]:
        raise ValueError(f"a difference is {odd[0]:g}, but it must be from -1 to 1.")
    n = len(values) + 2
    mean = math.fsum(values) / n
    error = math.sqrt(((math.fsum(value * value for value in values) + 2) / n - mean * mean) / n)
    return max(-1.0, mean - Z * error), min(1.0, mean + Z * error)


def _correlation(both: int, first: int, second: int, neither: int) -> float:
    """Return phi of a 2 by 2 table; one that is positive with Newcombe's continuity correction of n / 2."""
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if margins == 0:
        return 0.0
    excess = both * neither - first * second
    half = (both + first + second + neither) / 2
    return (max(0.0, excess - half) if excess >= 0 else excess) / math.sqrt(margins)


def _joined(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))
