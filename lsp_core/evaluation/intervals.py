"""How far a measured accuracy can be from the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

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
    then it is the mean ± 1.96 standard errors. It speaks of other examples, given these very trainings; see
    ``crossed_interval`` for one that speaks of other trainings, too.

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


def mean_interval(shares: Iterable[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of shares: one per example, each from 0 to 1.

    As ``mean_difference_interval``: an example of all and one of nothing are added, so that the interval has width
    where every example has the same share.

    Raises:
        ValueError: if a share is not from 0 to 1.

    >>> [round(bound, 4) for bound in mean_interval([0.5] * 30 + [0.75] * 10)]
    [0.5134, 0.6056]
    """
    values = [float(value) for value in shares]
    if odd := [value for value in values if not 0 <= value <= 1]:
        raise ValueError(f"a share is {odd[0]:g}, but it must be from 0 to 1.")
    low, high = mean_difference_interval(2 * value - 1 for value in values)
    return (low + 1) / 2, (high + 1) / 2


def crossed_interval(differences: ArrayLike) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences, over other examples and other trainings.

    Every training has seen every example, and both are drawn at random: the two-way random model without replication.
    With S trainings, n examples and the mean squares M of trainings, of examples and of the rest,

        variance = (M_trainings + max(M_examples - M_rest, 0)) / (S n)
        degrees of freedom = (S - 1) ((M_trainings + max(M_examples - M_rest, 0)) / M_trainings)^2

    for Student's t (Dorfman, Berbaum and Metz 1992 for several readers of the same cases; degrees of freedom of Hillis
    2007). It is never narrower than ``mean_difference_interval``, which takes these trainings as they are: a few can
    agree by chance, and then they seem not to vary.

    Args:
        differences: one row a training, in it one number from -1 to 1 an example.

    Raises:
        ValueError: if there are fewer than two trainings or no examples, or a difference is not from -1 to 1.

    >>> [round(bound, 4) for bound in crossed_interval([[1, 0, 0, 0] * 10, [1, 0, 1, 0] * 10, [0, 0, 1, 0] * 10])]
    [0.0407, 0.6259]
    """
    from scipy.special import stdtrit  # the quantile of Student's t; slow to import, and scipy.stats slower yet

    matrix = np.asarray(differences, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) < 2 or matrix.shape[1] < 1:
        raise ValueError(
            f"differences are {matrix.shape}, but it must be two trainings or more by one example or more."
        )
    trainings, examples = matrix.shape
    by_training, by_example, mean = matrix.mean(1), matrix.mean(0), float(matrix.mean())
    rest = matrix - by_training[:, None] - by_example + mean
    free = max(examples - 1, 1)
    of_trainings = examples * float(np.square(by_training - mean).sum()) / (trainings - 1)
    of_examples = trainings * float(np.square(by_example - mean).sum()) / free
    of_rest = float(np.square(rest).sum()) / (free * (trainings - 1))
    spread = of_trainings + max(of_examples - of_rest, 0.0)
    freedom = (trainings - 1) * (spread / of_trainings) ** 2 if of_trainings > 0 else math.inf
    reach = float(stdtrit(freedom, 0.975)) * math.sqrt(spread / matrix.size)
    crossed = max(-1.0, mean - reach), min(1.0, mean + reach)
    return max(crossed, mean_difference_interval(by_example.tolist()), key=lambda bounds: bounds[1] - bounds[0])


def median_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median: two of the values in order, whatever their distribution.

    As many of n values are below the median as heads in n tosses of a coin (Thompson 1936). Fewer than six values have
    no such interval: it is unbounded. Values may be infinite.

    >>> median_interval(range(1, 11))
    (2.0, 9.0)
    """
    ordered = sorted(float(value) for value in values)
    n, below, outside = len(ordered), 0.0, 0
    while outside < n and (below := below + math.comb(n, outside) / 2**n) <= 0.025:
        outside += 1
    return (ordered[outside - 1], ordered[n - outside]) if outside else (-math.inf, math.inf)


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
