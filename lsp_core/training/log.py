"""What is written down of a training: a log of each epoch, and the card of its checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lsp_core.attacks import PGD
from lsp_core.store.card import Card
from lsp_core.store.provenance import today, versions
from lsp_core.training.config import TrainConfig
from lsp_core.training.partition import Partition
from lsp_core.types import Record, check_fields


@dataclass(frozen=True)
class EpochLog:
    """One epoch: mean training loss and (unweighted) LSP term, and held-out accuracies as fractions."""

    epoch: int
    loss: float
    lsp: float
    clean_accuracy: float
    robust_accuracy: float
    seconds: float

    def __post_init__(self) -> None:
        check_fields(self, "EpochLog")

    @property
    def score(self) -> float:
        """The figure that the best epoch is chosen by: the mean of clean and PGD accuracy, for every objective."""
        return (self.clean_accuracy + self.robust_accuracy) / 2


class Past(NamedTuple):
    """How far a training has come: the settings that it runs with, and its epochs so far."""

    config: TrainConfig
    history: list[EpochLog]


def validation_attack(config: TrainConfig) -> PGD:
    """Return the attack on the held-out images after every epoch; it chooses the epoch, and proves no robustness."""
    return PGD(config.eps, steps=10, seed=0)


def training_card(
    config: TrainConfig, constants: Record, parts: Partition, history: Sequence[EpochLog], command: str
) -> Card:
    """Return the card of the last epoch in ``history``; ``constants`` are the settings that no recipe changes."""
    log, records = history[-1], [dataclasses.asdict(entry) for entry in history]
    return Card(
        name=config.name,
        model=config.model,
        dataset=config.dataset,
        objective=config.objective,
        image_shape=parts.train.image_shape,
        classes=parts.train.classes,
        mean=parts.mean,
        std=parts.std,
        lsp=dataclasses.asdict(config.lsp) if config.lsp else None,
        config={**config.to_record(), **constants, "history": records},
        seed=config.seed,
        epoch=log.epoch + 1,
        held_out={
            "n": len(parts.held_out),
            "clean_accuracy": log.clean_accuracy,
            "robust_accuracy": log.robust_accuracy,
            "attack": {"name": "PGD", **dataclasses.asdict(validation_attack(config))},
            "chosen_by": "mean of clean and PGD accuracy, over the epochs",
        },
        versions=versions(),
        date=today(),
        command=command,
    )
