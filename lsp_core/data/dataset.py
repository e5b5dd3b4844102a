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


class AbsentError(DatasetError):
    """A data set that is known, and not here."""


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
        rows: int64 (N,), which images of the whole split these are; None if they are all of it.
    """

    name: str
    split: Split
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    changes: tuple[str, ...] = ("shift",)
    rows: Tensor | None = None

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
        whole = torch.arange(len(self), device=self.labels.device) if self.rows is None else self.rows
        return dataclasses.replace(self, images=self.images[rows], labels=self.labels[rows], rows=whole[rows])

    def named(self, classes: tuple[str, ...]) -> ImageDataset:
        """Return the data set with its images labelled among other classes, of which its own are some.

        Raises:
            DatasetError: naming a class that is not among them.
        """
        if classes == self.classes:
            return self
        for name in self.classes:
            if name not in classes:
                raise DatasetError(
                    f"{self.name} has the class {name!r:.60}, which is none of the {len(classes)} given."
                )
        places = torch.tensor([classes.index(name) for name in self.classes])
        return dataclasses.replace(self, labels=places[self.labels], classes=classes)

    def to(self, device: str | torch.device) -> ImageDataset:
        """Return the data set on a device; the largest here has 180 MB."""
        rows = None if self.rows is None else self.rows.to(device)
        return dataclasses.replace(self, images=self.images.to(device), labels=self.labels.to(device), rows=rows)
