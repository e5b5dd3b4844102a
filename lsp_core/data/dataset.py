"""A data set as one tensor."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Split = Literal["train", "test"]


class DatasetError(ValueError):
    """A data set that is absent or unusable; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class ImageDataset:
    """All images of one split.

    Attributes:
        images: uint8 (N,C,H,W).
        labels: int64 (N,).
        classes: the names by label.
        changes: the random changes (of ``lsp_core.training.augmentation``) that leave the class of an image as it is.
            Small shifts do for nearly every subject. Mirroring does not, think of letters and digits, so that nothing
            is mirrored unless the row of a data set in ``DATASETS``, or whoever makes an ``ImageDataset``, says so.
    """

    name: str
    split: Split
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    changes: tuple[str, ...] = ("shift",)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def float(self, rows: slice | Tensor = slice(None)) -> Tensor:
        """Return images as float32 in [0,1].

        >>> from lsp_core import load_dataset
        >>> load_dataset("digits").float(slice(0, 2)).shape
        torch.Size([2, 1, 8, 8])
        """
        return self.images[rows].float() / 255

    def subset(self, rows: slice | Tensor) -> ImageDataset:
        """Return the data set of those rows."""
        return dataclasses.replace(self, images=self.images[rows], labels=self.labels[rows])

    def to(self, device: str | torch.device) -> ImageDataset:
        """Return the data set on a device; the largest here has 180 MB."""
        return dataclasses.replace(self, images=self.images.to(device), labels=self.labels.to(device))


def stratified_split(labels: Tensor, held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the rows to keep and ``held_out`` rows set apart, each class in proportion, both in order.

    Source: scikit-learn's ``train_test_split``.

    Raises:
        ValueError: if either part would be smaller than the number of classes, or a class has a single image.
    """
    sizes = labels.bincount()
    classes, most = int((sizes > 0).sum()), len(labels) - int((sizes > 0).sum())
    if not classes <= held_out <= most:
        raise ValueError(
            f"{held_out} of {len(labels)} images cannot be set apart with some of each of {classes} classes on both "
            f"sides: the number must be from {classes} to {most}."
        )
    if (sizes == 1).any():
        raise ValueError("a class has a single image, but it needs one on each side of the split.")
    from sklearn.model_selection import train_test_split

    kept, apart = train_test_split(
        torch.arange(len(labels)).numpy(), test_size=held_out, random_state=seed, stratify=labels.cpu().numpy()
    )
    return torch.from_numpy(kept).sort().values, torch.from_numpy(apart).sort().values


def spread(labels: Tensor, count: int) -> Tensor:
    """Return ``count`` rows that take the classes in turn: 0, 1, 2, …, 0, 1, 2 and so on, each class in its own order.

    >>> spread(torch.tensor([0, 0, 1, 1, 1]), 4)
    tensor([0, 2, 1, 3])
    """
    order = labels.argsort(stable=True)
    sizes = labels.bincount()
    turn = torch.cat([torch.arange(int(size)) for size in sizes])  # how many of the class came before
    return order[turn.argsort(stable=True)][:count]
