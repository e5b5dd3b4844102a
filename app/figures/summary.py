"""A checkpoint in one line: what it is, and the figure of it that says the most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.figures.naming import short_name
from lsp_core import Card
from lsp_core.attacks.table import rank
from lsp_core.audit import Audited
from lsp_core.evaluation.entry import Entry
from lsp_core.radius import show_eps
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.types import Record

MARKS = {"baseline": "■ baseline", "LSP": "● LSP", "brought": "brought"}  # the shapes that charts have for them
Cell = str | float | int | list[float] | list[str] | None


@dataclass(frozen=True)
class Summary:
    """A checkpoint with what is known of it. ``name`` is that of its file."""

    name: str
    card: Card
    entries: tuple[Entry, ...] = ()
    audited: Audited | None = None

    @property
    def training(self) -> str:
        """See ``training_of``."""
        return training_of(self.card)

    @property
    def strongest(self) -> Entry | None:
        """The evaluation of the strongest attack on its own data set, in Linf, nearest to the radius of its training.

        Of several on the same the one on the most images counts.
        """
        own = [entry for entry in self.entries if (entry.norm, entry.dataset) == ("Linf", self.card.dataset)]
        worth = {id(entry): (rank(entry.name), -abs(entry.eps - self.card.eps), entry.n) for entry in own}
        return max(own, key=lambda entry: worth[id(entry)], default=None)

    @property
    def audit(self) -> str:
        """The audit's verdict in three words."""
        if self.audited is None:
            return "not audited"
        if count := len(self.audited.named("fail")):
            return f"✕ {count} fail"
        if count := len(self.audited.named("warn")):
            return f"! {count} warn"
        return "✓ no sign found"

    @property
    def row(self) -> dict[str, Cell]:
        """The line of the table; accuracies are percent."""
        best = self.strongest
        low, high = best.robust_interval if best else (0.0, 0.0)
        return {
            "checkpoint": self.name,
            "data set": self.card.dataset,
            "model": self.card.model,
            "objective": self.card.objective,
            "trained": [MARKS[self.training]],
            "clean": percent(best.clean_accuracy) if best else None,
            "robust": percent(best.robust_accuracy) if best else None,
            "95 %": f"{100 * low:.1f} to {100 * high:.1f}" if best else "",
            "under": f"{short_name(best)}, {show_eps(best.eps).partition(' ')[0]}" if best else "not evaluated",
            "n": best.n if best else None,
            "audit": self.audit,
            "held out": [percent(epoch["robust_accuracy"]) for epoch in history(self.card)],
        }


def training_of(card: Card) -> str:
    """Return which of two twins a checkpoint is, or that it was brought from outside."""
    if card.origin is not None:
        return "brought"
    return "baseline" if card.lsp is None else "LSP"


def percent(share: float) -> float:
    """Return a share in percent, to two digits: no figure here is of enough images for more."""
    return round(100 * share, 2)


def summaries(
    cards: Mapping[str, Card], records: Mapping[str, Sequence[Entry]], audited: Mapping[str, Audited]
) -> list[Summary]:
    """Return a summary a checkpoint: the digits first, then by data set and objective, baselines before their twins."""
    found = [Summary(name, card, tuple(records.get(name, ())), audited.get(name)) for name, card in cards.items()]
    known = list(OBJECTIVES)

    def place(one: Summary) -> tuple[bool, str, int, str, str]:
        own = one.card.objective
        return (one.card.dataset != "digits", one.card.dataset, _place(own, known), own, one.name)

    return sorted(found, key=place)


def _place(objective: str, known: Sequence[str]) -> int:
    return known.index(objective) if objective in known else len(known)


def history(card: Card) -> list[dict[str, float]]:
    """Return what was measured at the end of each epoch, on the images that the training held out.

    Each has ``epoch`` (from 1), ``loss``, ``lsp``, ``clean_accuracy`` and ``robust_accuracy`` (fractions). Anybody can
    write a card: what is no such epoch is left out.
    """
    epochs = card.config.get("history")
    found = [_epoch(epoch) for epoch in epochs] if isinstance(epochs, list) else []
    return [epoch for epoch in found if epoch]


def _epoch(record: Record) -> dict[str, float]:
    keys = ("epoch", "loss", "lsp", "clean_accuracy", "robust_accuracy")
    values = [record.get(key) for key in keys] if isinstance(record, dict) else [None]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return {}
    return {key: float(record[key]) + (key == "epoch") for key in keys}
