"""Whether two checkpoints are twins."""

from __future__ import annotations

import dataclasses

from lsp_core.store.card import Card
from lsp_core.training.config import TrainConfig
from lsp_core.types import Record

SETTINGS = {own.name for own in dataclasses.fields(TrainConfig)}
NEITHER = {"lsp", "precision"}  # tells twins apart


def are_twins(first: Card, second: Card) -> bool:
    """Whether two checkpoints differ in nothing but the LSP term: one has it, and all other settings are the same.

    A setting that a card lacks, since it was added later, is its default. The precision of the passes comes from the
    machine, as versions and device do, and is no more a difference than these.
    """
    alike = first.dataset == second.dataset and _settings(first) == _settings(second)
    return alike and (first.lsp is None) != (second.lsp is None)


def _settings(card: Card) -> tuple[TrainConfig | Record, Record]:
    """Return the settings of a training that twins share, and what else its card says of it."""
    own = {key: value for key, value in card.config.items() if key in SETTINGS - NEITHER}
    rest = {key: value for key, value in card.config.items() if key not in SETTINGS | {"history"}}
    if not own.get("augment"):
        rest.pop("augmentation", None)  # it says what would have been done
    try:
        return TrainConfig.from_record(own), rest
    except ValueError:  # a model from elsewhere
        return own, rest
