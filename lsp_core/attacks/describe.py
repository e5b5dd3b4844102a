"""An attack in words and as JSON, from its fields alone."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from lsp_core.store.weights import weights_sha256
from lsp_core.types import Attack, Record

LENGTHS = ("steps", "queries", "draws")  # the first that an attack has is part of its name
UNSAID = {"eps", "norm", "seed", "precision", "early_stop", "targets", *LENGTHS}


def settings(attack: Any) -> Record:
    """Return every field of an attack for JSON: attacks inside it with their class, models with that and their weights.

    What it returns is the attack's identity: two with the same settings do the same.
    """
    return {name: _plain(getattr(attack, name)) for name in _defaults(attack)}


def _plain(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return {"class": type(value).__name__, "weights": weights_sha256(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {"class": type(value).__name__, **settings(value)}
    return value


def label(attack: Any) -> str:
    """Return what people call an attack, or another search: its name, its length, and what else is not as usual.

    An attack that is made of others has a ``label`` of its own.

    >>> from lsp_core.attacks import APGD, PGD, Ensemble
    >>> label(Ensemble((PGD(0.1, steps=20), APGD(0.1, loss="dlr", targets=9))))
    'PGD-20 + APGD-T-100 dlr'
    """
    if isinstance(own := getattr(attack, "label", None), str):
        return own
    usual = _defaults(attack)
    values = {name: getattr(attack, name) for name in usual}
    name = f"{type(attack).__name__}{'-T' if values.get('targets') else ''}"
    length = next((values[key] for key in LENGTHS if key in values), None)
    words = [name if length is None else f"{name}-{length}"]
    for key, value in values.items():
        if key not in UNSAID and value != usual[key]:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(shown if key == "loss" else f"{key} {shown}")
    return " ".join(words)


def most_steps(attack: Attack) -> int:
    """Return how many steps, besides its start, an attack shows whoever watches it, if nothing ends it before.

    The start of every further run, a restart or another target, is a step, too. 1 for one that does not say.

    >>> from lsp_core.attacks import APGD, PGD, Ensemble
    >>> most_steps(Ensemble((PGD(0.1, steps=20), APGD(0.1, steps=5, targets=2))))
    32
    """
    return _looks(attack) - 1


def _looks(attack: Attack) -> int:
    if inside := getattr(attack, "attacks", ()):
        return sum(map(_looks, inside))
    runs = getattr(attack, "restarts", 1) * max(1, getattr(attack, "targets", 0))
    drawn = getattr(attack, "queries", getattr(attack, "draws", None))  # each is a look; steps come after a start
    return int(runs * (getattr(attack, "steps", 1) + 1 if drawn is None else drawn))


def _defaults(attack: Any) -> Record:
    """Return the fields of an attack with their defaults; somebody else's attack need not be a dataclass."""
    fields = dataclasses.fields(attack) if dataclasses.is_dataclass(attack) else ()
    return {own.name: own.default for own in fields}
