"""How texts and figures are written in the cells of a Markdown table."""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Iterable, Sequence

from lsp_core.evaluation.entry import Entry
from lsp_core.study.lead import CLEAN, Lead, Spread

TOGETHER = re.compile(r"(?<=[\d)]) (±|→|to|of) (?=[-+\d])")


def cell(text: str) -> str:
    r"""Escape a text for a cell; what belongs to one figure stays on one line, however narrow the page.

    >>> print(cell("a|b\nc"))
    a\|b c
    """
    return TOGETHER.sub("\u00a0\\1\u00a0", line(text).replace("|", "\\|"))


def line(text: str) -> str:
    """Write a text on one line."""
    return " ".join(text.splitlines())


def accuracy(entries: Collection[Entry], *, clean: bool = False) -> str:
    """Write the accuracy under attack, or the ``clean`` one, as mean ± sd; of a single seed with its interval."""
    if not entries:
        return ""
    spread = Spread(tuple(entry.clean_accuracy if clean else entry.robust_accuracy for entry in entries))
    if spread.sd is not None:
        return f"{percent(spread.mean)} ± {percent(spread.sd)}"
    first = next(iter(entries))
    low, high = first.clean_interval if clean else first.robust_interval
    return f"{percent(spread.mean)} ({percent(low)} to {percent(high)})"


def difference(lead: Lead, *, spread: bool = True) -> str:
    """Write by how many points one is ahead, ± the sd over seeds unless ``spread`` is off, with its interval."""
    low, high = (_points(bound) for bound in lead.interval)
    sd = lead.gained.sd if spread else None
    return f"{_points(lead.gained.mean)}{'' if sd is None else f' ± {percent(sd)}'} ({low} to {high})"


def source(lead: Lead) -> str:
    """Name the attack; one that is no evidence by itself is said to be alone."""
    return lead.attack if lead.evidence else f"{lead.attack} only"


def ahead(lead: Lead | None, seeds: Iterable[int]) -> str:
    """Write a difference with its attack and, unless it is of all ``seeds``, with its own; "" if there is none."""
    if lead is None:
        return ""
    notes = ["" if lead.name == CLEAN else source(lead), only(lead.seeds, seeds)]
    return ", ".join([difference(lead), *filter(None, notes)])


def share_ahead(lead: Lead, seeds: Iterable[int]) -> str:
    """Write the difference of two shares of neighbours with its interval and, unless it is of all, its seeds."""
    low, high = lead.interval
    return ", ".join(filter(None, [f"{lead.gained.mean:+.3f} ({low:+.3f} to {high:+.3f})", only(lead.seeds, seeds)]))


def only(seeds: Iterable[int], every: Iterable[int]) -> str:
    """Name seeds if they are not all.

    >>> only([0], [0, 1, 2]), only([1, 0], [0, 1, 2]), only([1, 0], [0, 1])
    ('seed 0 only', 'seeds 0 and 1 only', '')
    """
    found, whole = sorted(set(seeds)), sorted(set(every))
    names = " and ".join(filter(None, [", ".join(map(str, found[:-1])), *map(str, found[-1:])]))
    return f"seed{'s' if len(found) > 1 else ''} {names} only" if found != whole else ""


def counted(number: int, noun: str) -> str:
    """Write a number of things.

    >>> counted(1, "seed"), counted(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(fraction: float) -> str:
    """Write a fraction as percent."""
    return f"{100 * fraction:.1f}"


def arrow(pairs: Sequence[tuple[float, float]]) -> str:
    """Write the means of both sides, the one → the other."""
    before, after = (statistics.fmean(side) for side in zip(*pairs, strict=True))
    return f"{before:.3f} → {after:.3f}"


def plain(values: Iterable[float]) -> str:
    """Write a mean ± sd as it is."""
    spread = Spread(tuple(values))
    return f"{spread.mean:.3f}" + ("" if spread.sd is None else f" ± {spread.sd:.3f}")


def _points(fraction: float) -> str:
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"  # + 0.0 makes -0.0 a plain 0.0
