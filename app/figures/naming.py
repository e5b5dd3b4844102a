"""What an evaluation's attack is called: in full, briefly, and in a sentence that says what ran."""

from __future__ import annotations

from lsp_core.attacks.describe import label
from lsp_core.attacks.fast import fast
from lsp_core.types import Record

USUAL = {"loss": "ce", "restarts": 1, "alpha": None, "targeted": False, "random_start": True}
FAST = label(fast(0.1))  # the radius is no part of what it is called
LONG = 24  # letters that a button or a row's head has room for


def attack_name(entry: Record) -> str:
    """Return what people call the attack: its label, or in older entries its name, steps and what is not as usual."""
    settings = entry["settings"] if isinstance(entry.get("settings"), dict) else {}
    if isinstance(entry.get("label"), str) and entry["label"].strip():
        odd = "alpha" if settings.get("alpha") is not None else ""  # labels leave the step size out
        return f"{entry['label']} alpha {settings[odd]}" if odd else str(entry["label"])
    parts = [f"{entry['attack']}-{settings['steps']}" if settings.get("steps") else str(entry["attack"])]
    for key, usual in USUAL.items():
        if settings.get(key, usual) != usual:
            parts.append(f"{key} {settings[key]}")
    return " ".join(parts)


def short_name(kind: str, name: str) -> str:
    """Return a name that a button has room for.

    Args:
        kind: the attack's class.
        name: its name in full.

    >>> short_name("Ensemble", FAST), short_name("Transfer", "PGD-20 from mnist-cnn-standard")
    ('fast ensemble', 'PGD-20 transferred')
    """
    if kind == "Transfer" and " from " in name:
        return f"{name.partition(' from ')[0]} transferred"
    if kind != "Ensemble":
        return name
    if name == FAST:
        return "fast ensemble"
    return name if len(name) <= LONG else f"ensemble of {len(parts_of(name))}"


def parts_of(name: str) -> list[str]:
    """Return the names of the attacks in an ensemble's name."""
    return name.split(" + ")


def what_ran(kind: str, name: str, short: str) -> str:
    """Say what was run, for the line under a figure.

    >>> what_ran("Ensemble", "PGD-20 + Square-500", "PGD-20 + Square-500")
    'PGD-20 + Square-500 (our own sequence, not AutoAttack; each attack on what the ones before left standing)'
    """
    if kind == "AutoAttack":
        return "AutoAttack, standard (APGD-CE, APGD-T, FAB-T and Square with 5,000 queries, by its authors' library)"
    if kind == "Transfer":
        return f"{short} (what fools another model)"
    if kind != "Ensemble":
        return name
    listed = "" if short == name else f": {', then '.join(parts_of(name))}"
    return f"{short} (our own sequence, not AutoAttack; each attack on what the ones before left standing{listed})"
