"""An attack as JSON and back: what a case keeps of it, and what is believed of what somebody else wrote."""

from __future__ import annotations

import dataclasses
from typing import Any

from lsp_core.attacks.apgd import APGD
from lsp_core.attacks.describe import most_steps, settings
from lsp_core.attacks.ensemble import Ensemble
from lsp_core.attacks.fgsm import FGSM
from lsp_core.attacks.noise import Noise
from lsp_core.attacks.pgd import PGD
from lsp_core.attacks.square import Square
from lsp_core.types import Attack, Record, check_fields

KINDS: dict[str, Any] = {kind.__name__: kind for kind in (APGD, FGSM, Noise, PGD, Square, Ensemble)}
LONGEST = 100_000  # steps, beyond which nobody means it


def to_record(attack: Attack) -> Record:
    """Return an attack with its class and every setting.

    Raises:
        ValueError: if it is of a kind that cannot be read again, as one that carries a model is.
    """
    if type(attack).__name__ not in KINDS:
        raise ValueError(f"{type(attack).__name__} cannot be kept in a file: choose one of {', '.join(KINDS)}.")
    return {"class": type(attack).__name__, **settings(attack)}


def from_record(record: Record) -> Attack:
    """Build an attack from what ``to_record`` wrote; a setting that is not there has its default.

    Raises:
        ValueError: naming what is unknown or cannot be meant.
    """
    given = dict(record)
    name = given.pop("class", None)
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"attack is of the class {name!r:.40}, but it must be one of {', '.join(KINDS)}.")
    kind = KINDS[name]
    known = {own.name for own in dataclasses.fields(kind)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{name} has no setting {unknown[0]!r:.40}: it takes {', '.join(sorted(known))}.")
    if name == "Ensemble":
        parts, reach = given.get("attacks"), given.get("reach", ())
        if not isinstance(parts, list | tuple) or not all(isinstance(part, dict) for part in parts):
            raise ValueError("attacks of an Ensemble must be a list of tables.")
        given = {"attacks": tuple(map(from_record, parts)), "reach": tuple(reach)}
    try:
        attack: Attack = kind(**given)
    except TypeError as error:
        raise ValueError(f"{name} cannot be built from its settings: {error}.") from None
    if name != "Ensemble":
        check_fields(attack, name)
    if (steps := most_steps(attack)) > LONGEST:
        raise ValueError(f"{name} would take {steps:,} steps an image, but {LONGEST:,} is the most.")
    return attack
