"""An attack in words and as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from lsp_core.types import Attack, Record

USUAL = {"restarts": 1, "targeted": False, "random_start": True, "momentum": 0.0}


def settings(attack: Any) -> Record:
    """Return every field of an attack for JSON; attacks inside it with their class, a model as the name of its."""
    fields = dataclasses.fields(attack) if dataclasses.is_dataclass(attack) else ()
    return {own.name: _plain(getattr(attack, own.name)) for own in fields}


def _plain(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return type(value).__name__
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {"class": type(value).__name__, **settings(value)}
    return value


def label(attack: Attack) -> str:
    """Return what people call an attack: its name, its length, and what else is not as usual.

    >>> from lsp_core.attacks import APGD, PGD, Ensemble
    >>> label(Ensemble((PGD(0.1, steps=20), APGD(0.1, loss="dlr", targets=9))))
    'PGD-20 + APGD-T-100 dlr'
    """
    fields = settings(attack)
    if "attacks" in fields:
        return " + ".join(label(part) for part in attack.attacks)  # type: ignore[attr-defined]
    name = type(attack).__name__
    if name == "Transfer":
        return f"{label(attack.attack)} from {fields['name'] or fields['source']}"  # type: ignore[attr-defined]
    if fields.get("targets"):
        name += "-T"
    length = next((fields[key] for key in ("steps", "queries", "draws") if key in fields), None)
    words = [name if length is None else f"{name}-{length}"]
    if name in ("FGSM", "PGD", "APGD", "APGD-T") and fields.get("loss") != "ce":
        words.append(str(fields.get("loss")))
    words += [f"{key} {fields[key]}" for key, usual in USUAL.items() if fields.get(key, usual) != usual]
    return " ".join(words)
