"""What is measured on: a data set with its plain and its robust model, and how thoroughly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lsp_core.data import ImageDataset, load_dataset
from lsp_core.evaluation import predict
from lsp_core.store.checkpoint import load_checkpoint
from lsp_core.training.recipes import RECIPES
from lsp_core.types import Classifier, Record

OBJECTIVES = {"plain": "standard", "robust": "pgd-at"}


@dataclass(frozen=True)
class Extent:
    """How thoroughly to measure.

    Attributes:
        runs: turns of every comparison.
        images: under attack, where PGD is timed.
        referee_images: under attack by AutoAttack, which takes minutes.
        referee_runs: turns of that comparison.
        points: of which neighbours are sought.
        growth: images in the smallest evaluation, where it is measured how the cost grows.
        seed: of the choice of images.
    """

    runs: int = 5
    images: int = 128
    referee_images: int = 64
    referee_runs: int = 1
    points: int = 2000
    growth: int = 64
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("runs", "images", "referee_images", "referee_runs", "points", "growth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but it must be 1 or more.")

    def to_record(self) -> Record:
        """Return the extent for JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class ModelPair:
    """A data set and its two shipped models, frozen and in evaluation mode.

    Attributes:
        models: "plain" and "robust".
        eps: the Linf radius that each was trained for.
    """

    dataset: str
    models: dict[str, Classifier]
    eps: dict[str, float]
    train: ImageDataset
    test: ImageDataset
    device: str

    def right(self, which: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return up to ``count`` test images (n,C,H,W), drawn by ``seed``, that a model gets right, and their labels.

        Only those, as in ``evaluate``: images that are wrong anyway would flatter an attack that stops early.
        """
        order = torch.randperm(len(self.test), generator=torch.Generator().manual_seed(seed))[: 3 * count]
        images = self.test.float(order).to(self.device).contiguous(memory_format=torch.channels_last)
        labels = self.test.labels[order].to(self.device)
        rows = (predict(self.models[which], images).argmax(1) == labels).nonzero().squeeze(1)[:count]
        return images[rows], labels[rows]


def open_pair(dataset: str, checkpoints: Path, data_root: str | None, device: str) -> ModelPair:
    """Load a data set and its two models.

    Raises:
        DatasetError: if the data is not here.
        CheckpointError: if a checkpoint is not.
    """
    train, test = load_dataset(dataset, "train", data_root), load_dataset(dataset, "test", data_root)
    models, eps = {}, {}
    for which, objective in OBJECTIVES.items():
        path = checkpoints / f"{dataset}-{RECIPES[dataset].common['model']}-{objective}.safetensors"
        model, card = load_checkpoint(path, device)
        models[which] = model.to(memory_format=torch.channels_last)
        eps[which] = card.eps
    return ModelPair(dataset, models, eps, train, test, device)
