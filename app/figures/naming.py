"""What an evaluation's attack is called: briefly, and in a sentence that says what ran.

All that is known of an attack stands in its row of ``ATTACKS``; one that is in no table goes by its label.
"""

from __future__ import annotations

import functools

from lsp_core.attacks.describe import label
from lsp_core.attacks.table import ATTACKS, Role, kind
from lsp_core.evaluation.entry import Entry

LONG = 24  # letters that a button or a row's head has room for
JOINT = " + "  # between the attacks of a sequence, in its label


def role_of(name: str) -> Role | None:
    """Return the role of an attack, None for one that is in no table."""
    row = kind(name)
    return row.role if row else None


def short_name(entry: Entry) -> str:
    """Return a name that a button has room for: "PGD-20", "fast ensemble"."""
    row = kind(entry.name)
    short = row.short(entry.label) if row else entry.label
    return f"ensemble of {len(short.split(JOINT))}" if JOINT in short and len(short) > LONG else short


def what_ran(entry: Entry, short: str) -> str:
    """Say what was run, for the line under a figure; ``short`` is what the figure calls it."""
    row = kind(entry.name)
    parts = ", then ".join(entry.label.split(JOINT)) if JOINT in entry.label and short != entry.label else ""
    said = ": ".join(part for part in (row.about if row else "", parts) if part)
    return f"{short} ({said})" if said else short


@functools.cache
def usual_label(name: str) -> str:
    """Return what an attack of the table is called where nobody changes its settings; "" if it needs some.

    >>> usual_label("pgd"), usual_label("transfer")
    ('PGD-20', '')
    """
    try:
        return label(ATTACKS[name].make(0.1))  # the radius is no part of what it is called
    except ValueError:
        return ""


def referee_name() -> str:
    """Return what the attack is called that has the last word."""
    return " or ".join(usual_label(name) for name, row in ATTACKS.items() if row.role == "referee")
