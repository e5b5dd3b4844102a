"""Data sets by name: a new one is a line in ``DATASETS``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

from lsp_core.data.dataset import DatasetError, ImageDataset, Split
from lsp_core.data.downloaded import DIGITS, FASHION, load_cifar10, load_digits, load_torchvision
from lsp_core.data.folder import load_folder

Loader = Callable[[Path, Split, bool], ImageDataset]

DATASETS: dict[str, Loader] = {
    "digits": load_digits,
    "mnist": functools.partial(load_torchvision, "mnist", "MNIST", DIGITS),
    "fashion-mnist": functools.partial(load_torchvision, "fashion-mnist", "FashionMNIST", FASHION),
    "cifar10": load_cifar10,
    "cifar100": functools.partial(load_torchvision, "cifar100", "CIFAR100", None),
    "svhn": functools.partial(load_torchvision, "svhn", "SVHN", DIGITS),
}


def load_dataset(
    name: str, split: Split = "test", root: str | Path | None = None, *, download: bool = False
) -> ImageDataset:
    """Load a split of a named data set, or of a folder that holds ``train/<class>/…`` and ``test/<class>/…``.

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
        return DATASETS[name](data_root(root), split, download)
    if Path(name).is_dir():
        return load_folder(Path(name), split)
    raise DatasetError(
        f"unknown data set {name!r}: choose one of {', '.join(DATASETS)}, "
        "or the path of a folder that holds train/<class>/ and test/<class>/."
    )


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder where data sets are looked for: ``root``, else $LSP_DATA, else ``data``."""
    return Path(root or os.environ.get("LSP_DATA") or "data").expanduser()
