"""The two parts of a training split: what a model learns from, and what its best epoch is chosen on."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_core.data import ImageDataset, stratified_split
from lsp_core.training.recipes import TrainConfig


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
        """Set the held-out part apart: the same images for every seed, so that seeds can be compared.

        Raises:
            ValueError: if the data is no training split, or too small for the configuration.
        """
        if data.split != "train":
            raise ValueError(f"data is the {data.split} split, but a model is trained on the train split.")
        if config.limit is not None and config.limit < len(data):
            data = data.subset(stratified_split(data.labels, config.limit, config.seed)[1])
        if len(data) < config.held_out + config.batch_size:
            raise ValueError(
                f"{data.name} has {len(data)} training images, too few for held_out {config.held_out} and a batch of "
                f"{config.batch_size}."
            )
        kept, apart = stratified_split(data.labels, config.held_out, seed=0)
        train = data.subset(kept)
        pixels = train.images.float() / 255
        mean = tuple(round(value, 4) for value in pixels.mean((0, 2, 3)).tolist())
        std = tuple(round(max(value, 1e-3), 4) for value in pixels.std((0, 2, 3)).tolist())
        return cls(train, data.subset(apart), mean, std)
