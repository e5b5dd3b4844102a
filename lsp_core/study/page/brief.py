"""The first table of a study's page: each pair of twins in short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lsp_core.attacks import parse_attack
from lsp_core.attacks.describe import label
from lsp_core.attacks.table import kind
from lsp_core.study.comparison import BASELINE, TWIN, Comparison, comparisons
from lsp_core.study.lead import CLEAN, Lead
from lsp_core.study.page.cells import accuracy, counted, difference, only, percent, source
from lsp_core.study.page.machines import Machines
from lsp_core.study.page.tables import MarkdownTable
from lsp_core.study.preset import Preset
from lsp_core.study.result import Result

BREAK = "<br>"  # begins a new line within a cell
MISSING = "not run yet"
# Of the neighbourhoods at unit length, in percent like the accuracies.
NEAR = {"overlap_attacked": "overlap with pixels, attacked", "kept": "neighbours kept"}


def brief(preset: Preset, results: Mapping[str, Result], machines: Machines) -> MarkdownTable:
    """Return a row for each pair of twins in a preset; what has not been run says so.

    Args:
        preset: whose grids are asked.
        results: of its runs, as far as there are any.
        machines: those of the preset.
    """
    grids = [grid for grid in preset.grids if {BASELINE, TWIN} <= grid.variants.keys()]
    pairs = comparisons(grids, results)
    referees = [name for name in dict.fromkeys(name for pair in pairs for name in pair.attacks) if _is_referee(name)]
    controls = list(dict.fromkeys(name for pair in pairs for name in pair.controls))
    near = any(_near(pair, "kept") for pair in pairs)
    titles = ["data set, objective", "clean", "under attack", *(label(parse_attack(name, 0.1)) for name in referees)]
    titles += [*controls, *(NEAR.values() if near else ())]
    rows = []
    for pair in pairs:
        lead = pair.best_lead(TWIN, BASELINE)
        cells = [_name(pair, machines), _noted(_lead(pair, CLEAN), pair), _attacked(lead, pair)]
        cells += [_noted(_lead(pair, name), pair) if name in pair.attacks else "" for name in referees]
        cells += [_control(lead, pair, name) for name in controls]
        cells += [_moved(_near(pair, figure)) for figure in NEAR] if near else []
        rows.append([*cells, _verdict(lead)])
    return MarkdownTable([*titles, "with LSP"], rows)


def _is_referee(name: str) -> bool:
    known = kind(name)
    return known is not None and known.role == "referee"


def _lead(pair: Comparison, attack: str) -> Lead | None:
    return pair.variants[TWIN].lead(pair.variants[BASELINE], attack)


def _name(pair: Comparison, machines: Machines) -> str:
    twins = replace(pair, variants={name: pair.variants[name] for name in (BASELINE, TWIN)})
    marked = pair.objective + machines.mark(result.machine for result in twins.results)
    radius = [f"eps {' and '.join(twins.radii)}"] if twins.radii else []
    return BREAK.join([pair.dataset, marked, *radius])


def _moved(lead: Lead | None) -> str:
    """Write both accuracies, baseline → LSP, and the difference below them."""
    if lead is None:
        return MISSING
    return f"{percent(lead.other.mean)} → {percent(lead.own.mean)}{BREAK}{difference(lead, spread=False)}"


def _attacked(lead: Lead | None, pair: Comparison) -> str:
    """Write the same under attack, with the attack, its images and seeds."""
    if lead is None:
        return MISSING
    whole = counted(len(pair.seeds), "seed")
    seeds = whole if len(lead.seeds) == len(pair.seeds) else f"{len(lead.seeds)} of {whole}"
    return BREAK.join([_moved(lead), source(lead), f"n {lead.n}, {seeds}"])


def _noted(lead: Lead | None, pair: Comparison) -> str:
    """Write the same with its seeds, if they are not all that the grids ask for."""
    return BREAK.join(filter(None, [_moved(lead), only(lead.seeds, pair.seeds) if lead else ""]))


def _near(pair: Comparison, figure: str) -> Lead | None:
    return pair.variants[TWIN].neighbors_lead(pair.variants[BASELINE], figure, unit_length=True)


def _control(lead: Lead | None, pair: Comparison, name: str) -> str:
    """Write what a control reaches under the same attack."""
    if name not in pair.controls:
        return ""
    found = pair.variants[name].under(lead.name) if lead else {}
    return BREAK.join(filter(None, [accuracy(found.values()), only(found, pair.seeds)])) if found else MISSING


def _verdict(lead: Lead | None) -> str:
    """Say where the interval lies; an attack that is no evidence has no say."""
    if lead is None:
        return MISSING
    if not lead.evidence:
        return source(lead)
    low, high = lead.interval
    return "higher" if low > 0 else "lower" if high < 0 else "no difference seen"
