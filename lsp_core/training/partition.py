"""The two parts of a training split: what a model learns from, and what its best epoch is chosen on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lsp_core.data import ImageDataset, stratified_split
from lsp_core.training.config import TrainConfig
from lsp_core.types import Record

SAME = 2e-4  # another device rounds the fourth decimal of a mean otherwise, at the worst


@dataclass(frozen=True)
class Partition:
    """Training images and held-out images, disjoint.

    Attributes:
        mean: of the training images alone, one number a channel, as ``std``, which is at least 0.001.
    """

    train: ImageDataset
    held_out: ImageDataset
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, data: ImageDataset, config: TrainConfig) -> Partition:
        """Set the held-out part apart: the same images for every seed and limit, so that all runs can be compared.

        A ``limit`` counts the held-out images; which others are left depends on the seed of the training.

        Raises:
            ValueError: if the data is no training split, or too small for the configuration.
        """
        if data.split != "train":
            raise ValueError(f"data is the {data.split} split, but a model is trained on the train split.")
        count = min(len(data), config.limit or len(data))
        if count < config.held_out + config.batch_size:
            raise ValueError(
                f"{data.name} has {count} training images, too few for held_out {config.held_out} and a batch of "
                f"{config.batch_size}."
            )
        kept, apart = stratified_split(data.labels, config.held_out, seed=0)
        train = data.subset(kept)
        if count < len(data):
            train = train.subset(stratified_split(train.labels, count - config.held_out, config.seed)[1])
        pixels = train.images.float() / 255
        mean = tuple(round(value, 4) for value in pixels.mean((0, 2, 3)).tolist())
        std = tuple(round(max(value, 1e-3), 4) for value in pixels.std((0, 2, 3)).tolist())
        return cls(train, data.subset(apart), mean, std)

    def to_record(self) -> Record:
        """Return what tells these images from others, for JSON: the classes, the shape, and the training statistics."""
        return {
            "classes": list(self.train.classes),
            "image_shape": list(self.train.image_shape),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def agrees(self, record: Record) -> bool:
        """Whether a record, as of ``to_record``, can be of these very images."""
        own = self.to_record()
        return all(list(record[key]) == own[key] for key in ("classes", "image_shape")) and all(
            math.isclose(here, there, abs_tol=SAME)
            for key in ("mean", "std")
            for here, there in zip(own[key], record[key], strict=True)
        )
