"""What an earlier training has left where a new one will write: whose it is, and whether it is this very one, done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lsp_core.data import DATASETS
from lsp_core.store.card import Card
from lsp_core.store.checkpoint import CheckpointError, read_card
from lsp_core.training.config import TrainConfig
from lsp_core.training.log import EpochLog, Past
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


def finished(paths: Iterable[Path], asked: TrainConfig, constants: Record, parts: Partition) -> Past | None:
    """Return this very training if all its checkpoints are there and it went to its end, else None.

    Args:
        paths: of its checkpoints.
        asked: its settings, as a person gave them.
        constants: what every training has alike or takes from its data.
        parts: the images.
    """
    try:
        cards = [read_card(path) for path in paths]
        histories = [[EpochLog(**entry) for entry in card.config["history"]] for card in cards]
        config = asked.as_begun(_settings(cards[0], constants))
        this = all(_of_this_training(card, config, constants, parts) for card in cards)
    except (CheckpointError, KeyError, TypeError, ValueError):
        return None
    whole = max(histories, key=len)
    return Past(config, whole) if this and len(whole) == config.epochs else None


def _of_this_training(card: Card, config: TrainConfig, constants: Record, parts: Partition) -> bool:
    fixed = {key: card.config[key] for key in constants if key in card.config}
    if not config.augment:
        fixed.pop("augmentation", None)  # it says what would have been done
    same = _settings(card, constants) == config and all(constants[key] == value for key, value in fixed.items())
    return same and parts.agrees(vars(card))


def _settings(card: Card, constants: Record) -> TrainConfig:
    return TrainConfig.from_record(
        {key: value for key, value in card.config.items() if key != "history" and key not in constants}
    )
