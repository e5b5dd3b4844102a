"""What an earlier training has left where a new one will write: whose it is, and whether it is this very one, done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lsp_core.data import DATASETS
from lsp_core.store.card import Card
from lsp_core.store.checkpoint import CheckpointError, read_card
from lsp_core.training.config import TrainConfig
from lsp_core.training.log import EpochLog
from lsp_core.training.partition import Partition
from lsp_core.types import Record


def refuse_other_data(paths: Iterable[Path], config: TrainConfig, parts: Partition) -> None:
    """Refuse to write over a checkpoint of other data: two folders of one last name give checkpoints of one name.

    A training on the same data may take the place of an earlier one, whatever its settings.

    Raises:
        ValueError: if one of ``paths`` holds a checkpoint of another data set, folder, image shape or list of classes.
    """
    for path in paths:
        try:
            card = read_card(path)
        except CheckpointError:
            continue  # nothing is there, or nothing that could be used
        if not _same_data(card, config, parts):
            shape = "x".join(map(str, card.image_shape))
            raise ValueError(
                f"{path} was trained on other data ({card.dataset}: {len(card.classes)} classes of {shape}) than "
                f"{config.dataset} is: choose another folder for the checkpoints (--out), or remove it."
            )


def _same_data(card: Card, config: TrainConfig, parts: Partition) -> bool:
    if _place(card.dataset) != _place(config.dataset):
        return False
    alike = all(card.config.get(key) == getattr(config, key) for key in ("limit", "held_out", "seed"))
    if config.dataset not in DATASETS and alike:
        return parts.agrees(vars(card))  # one relative path can mean two folders
    return (card.classes, card.image_shape) == (parts.train.classes, parts.train.image_shape)


def _place(dataset: str) -> str:
    return dataset if dataset in DATASETS else os.path.abspath(dataset)


def finished(paths: Iterable[Path], config: TrainConfig, constants: Record, parts: Partition) -> list[EpochLog]:
    """Return the history of this very training if all its checkpoints are there and it went to its end, else []."""
    try:
        cards = [read_card(path) for path in paths]
        histories = [[EpochLog(**entry) for entry in card.config["history"]] for card in cards]
    except (CheckpointError, KeyError, TypeError, ValueError):
        return []
    whole = max(histories, key=len)
    this = all(_of_this_training(card, config, constants, parts) for card in cards)
    return whole if this and len(whole) == config.epochs else []


def _of_this_training(card: Card, config: TrainConfig, constants: Record, parts: Partition) -> bool:
    settings = {key: value for key, value in card.config.items() if key != "history"}
    fixed = {key: settings.pop(key) for key in constants if key in settings}
    if not config.augment:
        fixed.pop("augmentation", None)  # it says what would have been done
    try:
        same = TrainConfig.from_record(settings) == config
    except ValueError:
        return False
    return same and all(constants[key] == value for key, value in fixed.items()) and parts.agrees(vars(card))
