"""When a count is more than chance allows.

Every check that counts images asks the same question: k of n images tell against the model, a share ``rate`` of them
would be fine, so how likely are k or more if the true share is ``rate``? Under 1 in 20 is a warning, under 1 in 1,000
a failure (own choice: some ten checks ask this, and honest models lie far below the rate in most of them).
"""

from __future__ import annotations

import math

from lsp_core.audit.report import STATUSES, Status

WARN_BELOW, FAIL_BELOW = 0.05, 0.001


def at_least(k: int, n: int, rate: float) -> float:
    """Return the chance of ``k`` or more out of ``n`` at a true share ``rate``.

    >>> round(at_least(2, 2, 0.5), 3), at_least(0, 9, 0.1)
    (0.25, 1.0)
    """
    if k <= 0:
        return 1.0
    if rate <= 0 or rate >= 1 or k > n:
        return float(rate >= 1 and k <= n)
    logs = (math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1) for j in range(k, n + 1))
    terms = (math.exp(log + j * math.log(rate) + (n - j) * math.log1p(-rate)) for j, log in enumerate(logs, k))
    return min(1.0, math.fsum(terms))


def weigh(k: int, n: int, rate: float, *, fail_rate: float | None = None) -> Status:
    """Return the status of ``k`` images out of ``n`` where a share ``rate`` would be fine.

    ``fail_rate`` is a higher share that has to be passed for a failure.

    >>> [weigh(k, 128, 0.002) for k in (1, 2, 4)]
    ['pass', 'warn', 'fail']
    """
    if at_least(k, n, rate if fail_rate is None else fail_rate) < FAIL_BELOW:
        return "fail"
    return "warn" if at_least(k, n, rate) < WARN_BELOW else "pass"


def worst(*statuses: Status) -> Status:
    """Return the gravest of several statuses."""
    return max(statuses, key=STATUSES.index)


def limit(points: float) -> str:
    """Describe the rule for a share in points.

    >>> limit(0.2)
    'more than 0.2 points, and more than chance allows at this n (warn under 1 in 20, fail under 1 in 1,000)'
    """
    odds = "warn under 1 in 20, fail under 1 in 1,000"
    return f"more than {points:g} points, and more than chance allows at this n ({odds})"
