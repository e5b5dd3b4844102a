"""Data sets by name: a new one is a line in ``DATASETS``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lsp_core.data.dataset import DatasetError, ImageDataset, Split
from lsp_core.data.downloaded import DIGITS, FASHION, load_cifar10, load_digits, load_torchvision
from lsp_core.data.folder import load_folder

Loader = Callable[[Path, Split, bool], ImageDataset]  # the root, the split, and whether to download what is absent


@dataclass(frozen=True)
class NamedDataset:
    """How a data set is loaded, and which random changes leave the class of its images as it is."""

    load: Loader
    changes: tuple[str, ...] = ("shift",)


MIRRORED = ("shift", "flip")

DATASETS: dict[str, NamedDataset] = {
    "digits": NamedDataset(load_digits),
    "mnist": NamedDataset(partial(load_torchvision, "mnist", "MNIST", DIGITS)),
    "fashion-mnist": NamedDataset(partial(load_torchvision, "fashion-mnist", "FashionMNIST", FASHION), MIRRORED),
    "cifar10": NamedDataset(load_cifar10, MIRRORED),
    "cifar100": NamedDataset(partial(load_torchvision, "cifar100", "CIFAR100", None), MIRRORED),
    "svhn": NamedDataset(partial(load_torchvision, "svhn", "SVHN", DIGITS)),  # house numbers: a mirrored 2 is none
}


def load_dataset(
    name: str, split: Split = "test", root: str | Path | None = None, *, download: bool = False
) -> ImageDataset:
    """Load a split of a named data set, or of a folder that holds ``train/<class>/…`` and ``test/<class>/…``.

    A folder may hold digits or letters, so that the training shifts its images a little but never mirrors them.

    Args:
        name: one of ``DATASETS``, or the path of a folder.
        split: "train" or "test".
        root: where the data sets lie; None means $LSP_DATA, else ``data``.
        download: fetch a torchvision data set that is absent, with a progress bar.

    Raises:
        DatasetError: if the name is unknown, or the data absent or unusable.
    """
    if split not in ("train", "test"):
        raise DatasetError(f"split is {split!r}, but it must be train or test.")
    if name in DATASETS:
        row = DATASETS[name]
        return dataclasses.replace(row.load(data_root(root), split, download), changes=row.changes)
    if Path(name).is_dir():
        return load_folder(Path(name), split)
    raise DatasetError(
        f"unknown data set {name!r}: choose one of {', '.join(DATASETS)}, "
        "or the path of a folder that holds train/<class>/ and test/<class>/."
    )


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder where data sets are looked for: ``root``, else $LSP_DATA, else ``data``."""
    return Path(root or os.environ.get("LSP_DATA") or "data").expanduser()
