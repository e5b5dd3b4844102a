"""Where each data set comes from: scikit-learn, torchvision, or a folder of images."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lsp_core.data import DatasetError, ImageDataset, Loader, Split, stratified_split
from lsp_core.files import replacing
from lsp_core.images import FORMATS, ImageError, decode_image, fit_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
LARGEST_AS_IS = 64  # pixels; larger or unequal images are cropped and resized to FOLDER_SIZE
FOLDER_SIZE = 32
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIGITS = tuple("0123456789")


def load_digits(_root: Path, split: Split, _download: bool) -> ImageDataset:
    """Load scikit-learn's 1,797 digits of 8x8 pixels: 1,198 to train, 599 to test, each class in proportion."""
    from sklearn.datasets import load_digits as bundled

    bunch = bundled()
    # 0..16 to 0..255: rounded, as every other data set here has whole grey levels.
    images = torch.from_numpy(np.round(bunch.images * (255 / 16)).astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target).long()
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
            raise DatasetError(_how_to_get(name, root)) from None
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


def load_folder(folder: Path, split: Split, name: str | None = None) -> ImageDataset:
    """Load ``folder/split/<class>/<image>``, decoded once and then read from a cache.

    Square images of one size up to 64 pixels stay as they are; others are cropped to a square and resized to 32. The
    data set is grey only if every file is.

    Raises:
        DatasetError: if the split is absent, a class has no image, a file cannot be decoded, or the other split has
            other classes, so that labels would not mean the same.
    """
    base = folder / split
    if not base.is_dir():
        raise DatasetError(f"{folder} has no folder {split}: it must hold train/<class>/ and test/<class>/.")
    classes = _class_folders(base)
    if len(classes) < 2:
        raise DatasetError(f"{base} holds {len(classes)} class folder(s), but a classifier needs at least two.")
    other = folder / ("test" if split == "train" else "train")
    if other.is_dir() and _class_folders(other) != classes:
        raise DatasetError(f"{base} and {other} have other class folders: give both splits the same.")
    listing = [(label, entry) for label, title in enumerate(classes) for entry in _image_files(base / title)]
    labels = torch.tensor([label for label, _ in listing])
    digest = hashlib.sha256(str(base.resolve()).encode())
    for label, entry in listing:
        state = entry.stat()
        # The inode tells files apart that changed places, for an archive may unpack all with one time.
        about = f"{classes[label]}/{entry.name} {state.st_ino} {state.st_size} {state.st_mtime_ns};"
        digest.update(about.encode())
    images = _cached(
        f"{folder.name}-{split}-{digest.hexdigest()[:24]}", lambda: _decode_all([entry.path for _, entry in listing])
    )
    return ImageDataset(name or str(folder), split, images, labels, classes)


def _class_folders(base: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in base.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _image_files(folder: Path) -> list[os.DirEntry[str]]:
    # Names with a leading dot are what file managers leave behind.
    files = (entry for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    found = [entry for entry in files if entry.name.lower().endswith(SUFFIXES)]
    if not found:
        raise DatasetError(f"the class folder {folder} holds no image ({', '.join(FORMATS)}).")
    return sorted(found, key=lambda entry: entry.name)


def _decode_all(files: list[str]) -> Tensor:
    decoded, some_large = [], False
    for file in files:
        try:
            pixels = decode_image(Path(file).read_bytes()).pixels
        except ImageError as error:
            raise DatasetError(f"{file}: {error}") from error
        large = max(pixels.shape[:2]) > LARGEST_AS_IS
        if large:  # shrunk at once: thousands of photographs do not fit into memory
            pixels = fit_image(pixels, 3 if pixels.ndim == 3 else 1, FOLDER_SIZE)
            pixels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        some_large |= large
        decoded.append(pixels)
    channels = 1 if all(pixels.ndim == 2 for pixels in decoded) else 3
    sizes = {pixels.shape[:2] for pixels in decoded}
    height, width = next(iter(sizes))
    as_is = not some_large and len(sizes) == 1 and height == width <= LARGEST_AS_IS
    size = height if as_is else FOLDER_SIZE
    return torch.from_numpy(np.stack([fit_image(pixels, channels, size) for pixels in decoded]))


def _cached(key: str, compute: Callable[[], Tensor]) -> Tensor:
    """Return the tensor of that key from the disk, else compute and keep it; a cache that fails is passed by."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lsp-lab"
    path = home / f"{key}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            return torch.as_tensor(file.get_tensor("images"))
    except (OSError, SafetensorError):
        images = compute()
    try:
        with replacing(path) as partial:
            save_file({"images": images}, partial)
    except (OSError, SafetensorError):
        pass  # a full disk or a read-only home costs time at the next start, nothing else
    return images


def _how_to_get(name: str, root: Path) -> str:
    return (
        f"{name} is not under {root}: fetch it with `python -m lsp_core info {name} --download`, "
        "or point --data-root or $LSP_DATA to the folder that holds it."
    )


DATASETS: dict[str, Loader] = {
    "digits": load_digits,
    "mnist": functools.partial(load_torchvision, "mnist", "MNIST", DIGITS),
    "fashion-mnist": functools.partial(load_torchvision, "fashion-mnist", "FashionMNIST", FASHION),
    "cifar10": load_cifar10,
    "cifar100": functools.partial(load_torchvision, "cifar100", "CIFAR100", None),
    "svhn": functools.partial(load_torchvision, "svhn", "SVHN", DIGITS),
}
