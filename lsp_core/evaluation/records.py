"""The evaluations of a checkpoint, kept beside it as ``NAME.json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lsp_core.evaluation.entry import Entry
from lsp_core.evaluation.robustbench import RobustBench
from lsp_core.store.card import Card
from lsp_core.store.files import locked
from lsp_core.store.schema import Stored, read


@dataclass(frozen=True)
class Evaluations(Stored):
    """What is known of a checkpoint under attack.

    Attributes:
        checkpoint: its name.
        weights: which weights that holds for, see ``weights_sha256``.
        robustbench: the same in the terms of RobustBench's model cards.
        evaluations: an entry per attack, radius and choice of images.
    """

    SCHEMA: ClassVar[str] = "lsp-lab/evaluations/2"

    checkpoint: str
    weights: str
    robustbench: RobustBench
    evaluations: tuple[Entry, ...]


def read_evaluations(path: str | Path, weights: str) -> tuple[Entry, ...]:
    """Return the entries that hold for these weights: none if there is no file, or if it speaks of others.

    Raises:
        SchemaError: if it is another file, or damaged.
    """
    if not Path(path).exists():
        return ()
    found = read(Evaluations, path)
    return found.evaluations if found.weights == weights else ()


def add_evaluations(path: str | Path, card: Card, weights: str, entries: Iterable[Entry]) -> None:
    """Add entries to a file, which may be new; an earlier one of the same images and attack gives way.

    Entries of other weights are dropped: they say nothing about these. Of several processes that add to one file at
    once, none loses what another adds.

    Raises:
        SchemaError: if the file is another one, or damaged; it is left as it is.
    """
    fresh = tuple(entries)
    with locked(path):
        known = [entry.identity for entry in fresh]
        kept = [entry for entry in read_evaluations(path, weights) if entry.identity not in known]
        merged = sorted((*kept, *fresh), key=lambda entry: (entry.dataset, entry.norm, entry.attack, entry.eps))
        Evaluations(card.name, weights, RobustBench.of(card, merged), tuple(merged)).write(path)
