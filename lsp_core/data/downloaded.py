"""Data sets that a library brings: scikit-learn's digits, and those that torchvision downloads."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from lsp_core.data.dataset import AbsentError, DatasetError, ImageDataset, Split
from lsp_core.data.folder import load_folder
from lsp_core.data.split import stratified_split

FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIGITS = tuple("0123456789")


def load_digits(_root: Path, split: Split, _download: bool) -> ImageDataset:
    """Load scikit-learn's 1,797 digits of 8x8 pixels: 1,198 to train, 599 to test, each class in proportion.

    Raises:
        DatasetError: if scikit-learn is not there.
    """
    if (found := find_spec("sklearn")) is None or found.origin is None:
        raise DatasetError("digits are a part of scikit-learn, which is not installed: pip install scikit-learn.")
    # Its own ``load_digits`` reads this file, too, but takes most of a second to import.
    table = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    # 0..16 to 0..255: rounded, as every other data set here has whole grey levels.
    images = torch.from_numpy(np.round(table[:, :-1] * (255 / 16)).astype(np.uint8)).view(-1, 1, 8, 8)
    labels = torch.from_numpy(table[:, -1]).long()
    train, test = stratified_split(labels, held_out=599, seed=0)
    rows = train if split == "train" else test
    return ImageDataset("digits", split, images[rows], labels[rows], DIGITS)


def load_torchvision(
    name: str, source: str, classes: tuple[str, ...] | None, root: Path, split: Split, download: bool
) -> ImageDataset:
    """Load a data set that torchvision knows, downloading it only when asked."""
    from torchvision import datasets

    which = {"split": split} if source == "SVHN" else {"train": split == "train"}
    place = root / "svhn" if source == "SVHN" else root
    try:
        found = getattr(datasets, source)(place, download=download, **which)
    except Exception as error:  # on a damaged file torchvision raises whatever comes, AssertionError for one
        if not download and isinstance(error, RuntimeError) and "not found" in str(error):
            raise AbsentError(_how_to_get(name, root)) from None
        failed = "downloaded to" if download else "read under"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{name} could not be {failed} {root}: {reason}") from error
    images = torch.as_tensor(found.data)
    labels = torch.as_tensor(found.labels if source == "SVHN" else found.targets)
    if images.dim() == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2).contiguous()
    return ImageDataset(name, split, images, labels.long(), classes or tuple(found.classes))


def load_cifar10(root: Path, split: Split, download: bool) -> ImageDataset:
    """Load CIFAR-10 from torchvision's layout, or from the folder ``cifar10/{train,test}/<class>``."""
    if (root / "cifar10" / split).is_dir():
        found = load_folder(root / "cifar10", split, name="cifar10")
        if found.classes != CIFAR10:
            raise DatasetError(f"{root / 'cifar10' / split} must hold the folders {', '.join(CIFAR10)}.")
        return found
    return load_torchvision("cifar10", "CIFAR10", CIFAR10, root, split, download)


def _how_to_get(name: str, root: Path) -> str:
    return (
        f"{name} is not under {root}: fetch it with `python -m lsp_core info {name} --download`, "
        "or point --data-root or $LSP_DATA to the folder that holds it."
    )
