"""The first table of a study's page: each pair in short."""

from __future__ import annotations

from collections.abc import Sequence

from lsp_core.study.headline import Headline
from lsp_core.study.lead import Lead
from lsp_core.study.page.cells import accuracy, counted, difference, head, line, only, percent, source
from lsp_core.study.page.machines import Machines

BREAK = "<br>"  # begins a new line within a cell
REFEREE = "autoattack"
MISSING = "not run yet"


def brief_lines(found: Sequence[Headline], machines: Machines) -> list[str]:
    """Write a row for each pair; what has not been run says so.

    Args:
        found: the pairs of a preset.
        machines: those of the preset.
    """
    controls = dict.fromkeys(pair.control.variant for pair in found if pair.control)
    control = [f"{' or '.join(controls)} alone"] if controls else []
    referee = ["AutoAttack"] if any(REFEREE in pair.attacks for pair in found) else []
    lines = head("data set, objective", "clean", "under attack", *referee, *control, "with LSP")
    for pair in found:
        lead = pair.attacked
        cells = [_name(pair, machines), _noted(pair.clean, pair), _attacked(pair, lead)]
        cells += [_noted(pair.under(REFEREE), pair) if REFEREE in pair.attacks else ""] if referee else []
        cells += [_control(pair, lead)] if control else []
        lines.append(line([*cells, _verdict(lead)]))
    return lines


def _name(pair: Headline, machines: Machines) -> str:
    there = [outcome.machine for row in (pair.baseline, pair.twin) for outcome in row.outcomes.values()]
    radius = [f"eps {pair.eps}"] if pair.eps else []
    return BREAK.join([pair.dataset, pair.objective + machines.mark(there), *radius])


def _moved(lead: Lead | None) -> str:
    """Write both accuracies, baseline → LSP, and the difference below them."""
    if lead is None:
        return MISSING
    return f"{percent(lead.other.mean)} → {percent(lead.own.mean)}{BREAK}{difference(lead, spread=False)}"


def _attacked(pair: Headline, lead: Lead | None) -> str:
    """Write the same under attack, with the attack, its images and seeds."""
    if lead is None:
        return MISSING
    whole = counted(len(pair.seeds), "seed")
    seeds = whole if len(lead.seeds) == len(pair.seeds) else f"{len(lead.seeds)} of {whole}"
    return BREAK.join([_moved(lead), source(lead), f"n {lead.n}, {seeds}"])


def _noted(lead: Lead | None, pair: Headline) -> str:
    """Write the same with its seeds, if they are not all that the grids ask for."""
    return BREAK.join(filter(None, [_moved(lead), only(lead.seeds, pair.seeds) if lead else ""]))


def _control(pair: Headline, lead: Lead | None) -> str:
    """Write what the control reaches under the same attack."""
    if pair.control is None:
        return ""
    scores = pair.control.scores(lead.name) if lead else {}
    return BREAK.join(filter(None, [accuracy(scores.values()), only(scores, pair.seeds)])) if scores else MISSING


def _verdict(lead: Lead | None) -> str:
    """Say where the interval lies; an attack that is no evidence has no say."""
    if lead is None:
        return MISSING
    if not lead.evidence:
        return source(lead)
    low, high = lead.interval
    return "higher" if low > 0 else "lower" if high < 0 else "no difference seen"
