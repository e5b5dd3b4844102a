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
from lsp_core.data.fetched import OnProgress, fetch
from lsp_core.data.folder import load_folder
from lsp_core.data.sheets import load_sheets

Loader = Callable[[Path, Split, bool], ImageDataset]  # the root, the split, and whether to download what is absent


@dataclass(frozen=True)
class NamedDataset:
    """How a data set is loaded, where it is from, and which random changes leave the class of its images as it is.

    Attributes:
        origin: who made it; ``terms`` what they ask of whoever gives it away. They go with what is packed.
        megabytes: that have to be downloaded; 0 for one that is here already.
    """

    load: Loader
    origin: str = ""
    terms: str = ""
    changes: tuple[str, ...] = ("shift",)
    megabytes: int = 0


MIRRORED = ("shift", "flip")
TINY = (
    "Alex Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, www.cs.toronto.edu/~kriz/cifar.html"
)
CITE = "no licence is stated; the author asks that the report be cited"

DATASETS: dict[str, NamedDataset] = {
    "digits": NamedDataset(
        load_digits, "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI", "CC BY 4.0"
    ),
    "mnist": NamedDataset(
        partial(load_torchvision, "mnist", "MNIST", DIGITS),
        "Yann LeCun, Corinna Cortes and Christopher Burges, The MNIST database of handwritten digits",
        "CC BY-SA 3.0",
        megabytes=12,
    ),
    "fashion-mnist": NamedDataset(
        partial(load_torchvision, "fashion-mnist", "FashionMNIST", FASHION),
        "Zalando Research (2017), github.com/zalandoresearch/fashion-mnist",
        "MIT",
        MIRRORED,
        31,
    ),
    "cifar10": NamedDataset(load_cifar10, TINY, CITE, MIRRORED, 170),
    "cifar100": NamedDataset(partial(load_torchvision, "cifar100", "CIFAR100", None), TINY, CITE, MIRRORED, 169),
    "svhn": NamedDataset(  # house numbers: a mirrored 2 is none
        partial(load_torchvision, "svhn", "SVHN", DIGITS),
        "Yuval Netzer and others (2011), Reading Digits in Natural Images, ufldl.stanford.edu/housenumbers",
        "for non-commercial use only",
        megabytes=246,
    ),
}


def load_dataset(
    name: str,
    split: Split = "test",
    root: str | Path | None = None,
    *,
    download: bool = False,
    size: int | None = None,
) -> ImageDataset:
    """Load a split of a named data set, or of a folder that holds ``train/<class>/…`` and ``test/<class>/…``.

    A named one may lie there packed, as ``lsp_core.data.sheets`` writes it, below its name.
    A folder may hold digits or letters, so that the training shifts its images a little but never mirrors them.

    Args:
        name: one of ``DATASETS``, or the path of a folder.
        split: "train" or "test".
        root: where the data sets lie; None means $LSP_DATA, else ``data``.
        download: fetch a torchvision data set that is absent, whole or not at all, with a progress bar.
        size: in pixels, what the images of a folder are cropped and resized to; None leaves small ones as they are.

    Raises:
        DatasetError: if the name is unknown, or the data absent or unusable.
    """
    if split not in ("train", "test"):
        raise DatasetError(f"split is {split!r}, but it must be train or test.")
    if name in DATASETS:
        try:
            return _load(name, data_root(root), split)
        except DatasetError:
            if not (download and DATASETS[name].megabytes):
                raise
        fetch_dataset(name, root)
        return _load(name, data_root(root), split)
    if Path(name).is_dir():
        return load_folder(Path(name), split, size=size)
    raise DatasetError(
        f"unknown data set {name!r}: choose one of {', '.join(DATASETS)}, "
        "or the path of a folder that holds train/<class>/ and test/<class>/."
    )


def fetch_dataset(name: str, root: str | Path | None = None, on_progress: OnProgress | None = None) -> None:
    """Download a named data set, both splits, to where it is looked for: whole or not at all (see ``fetch``).

    Raises:
        DatasetError: if it could not be downloaded, or there is nothing to download.
    """
    if name not in DATASETS or not DATASETS[name].megabytes:
        raise DatasetError(f"{name} is no data set that can be downloaded.")
    fetch(name, DATASETS[name].load, data_root(root), on_progress)


def _load(name: str, base: Path, split: Split) -> ImageDataset:
    row = DATASETS[name]
    found = load_sheets(base / name, split) or row.load(base, split, False)
    return dataclasses.replace(found, changes=row.changes)


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder where data sets are looked for: ``root``, else $LSP_DATA, else ``data``."""
    return Path(root or os.environ.get("LSP_DATA") or "data").expanduser()
