"""What was measured: one record an evaluation, of all checkpoints together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.figures.naming import JOINT, short_name
from lsp_core import Card
from lsp_core.evaluation.entry import Entry
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.training.twins import are_twins

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Measured:
    """A checkpoint under one attack. ``short`` is what the pages call the attack."""

    checkpoint: str
    card: Card
    entry: Entry
    short: str

    @property
    def training(self) -> str:
        """Which of two twins it is."""
        return "baseline" if self.card.lsp is None else "LSP"


def measured(evaluations: Mapping[str, Iterable[Entry]], cards: Mapping[str, Card]) -> list[Measured]:
    """Return a record per evaluation: by objective, baselines before their twins, each by its radii."""
    found = [
        Measured(name, cards[name], entry, short_name(entry))
        for name, entries in evaluations.items()
        for entry in entries
    ]
    order = objectives(found)
    return sorted(_told_apart(found), key=lambda one: (order.index(one.card.objective), one.checkpoint, one.entry.eps))


def objectives(found: Iterable[Measured]) -> list[str]:
    """Return the objectives of the records in their usual order, those that are in no table last."""
    there = {one.card.objective for one in found}
    return [name for name in OBJECTIVES if name in there] + sorted(there - set(OBJECTIVES))


def _told_apart(found: list[Measured]) -> list[Measured]:
    """Give sequences of attacks that are not the same, but have the same short name, letters."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for one in found:
        if JOINT in one.entry.label:
            labels[one.short].add(one.entry.label)

    def lettered(one: Measured) -> Measured:
        same = sorted(labels[one.short]) if JOINT in one.entry.label else []
        if len(same) < 2:
            return one
        place = same.index(one.entry.label)
        return replace(one, short=f"{one.short} ({LETTERS[place] if place < len(LETTERS) else place + 1})")

    return [lettered(one) for one in found]


def largest(found: Iterable[Measured]) -> list[Measured]:
    """Keep the evaluation on the most images, where a checkpoint was evaluated more than once at one eps."""
    kept: dict[tuple[str, float], Measured] = {}
    for one in found:
        key = (one.checkpoint, one.entry.eps)
        if key not in kept or one.entry.n >= kept[key].entry.n:
            kept[key] = one
    return list(kept.values())


def twins(found: Sequence[Measured]) -> list[tuple[str, str]]:
    """Return the names of each baseline and its LSP twin, where there are figures of both."""
    cards = {one.checkpoint: one.card for one in found}
    return [
        (name, card.twin)
        for name, card in cards.items()
        if card.lsp is None and card.twin in cards and are_twins(card, cards[card.twin])
    ]
