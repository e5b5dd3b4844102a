"""A folder of images, ``train/<class>/…`` and ``test/<class>/…``, as a data set."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import PIL
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lsp_core.data.dataset import DatasetError, ImageDataset, Split
from lsp_core.data.images import FORMATS, ImageError, decode_image, fit_image
from lsp_core.store.files import replacing

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
LARGEST_AS_IS = 64  # pixels; larger or unequal images are cropped and resized to FOLDER_SIZE
FOLDER_SIZE = 32
CACHE_FORMAT = 2  # raise it whenever the code here or in images.py makes other pixels of the same files


def load_folder(folder: Path, split: Split, name: str | None = None, size: int | None = None) -> ImageDataset:
    """Load ``folder/split/<class>/<image>``, decoded once and then read from a cache.

    The cache is used only if it is of these files, unchanged, and of these rules of decoding, and has their number and
    shape; otherwise the files are decoded anew.

    Square images of one size up to 64 pixels stay as they are; others are cropped to a square and resized to 32. The
    data set is grey only if every file is.

    Args:
        folder: holds the splits.
        split: "train" or "test".
        name: what the data set is called; None means as its folder.
        size: in pixels, what all images are cropped and resized to instead.

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
    # Another Pillow may decode otherwise.
    rules = (str(base.resolve()), CACHE_FORMAT, LARGEST_AS_IS, size or FOLDER_SIZE, size is None, PIL.__version__)
    digest = hashlib.sha256(os.fsencode(repr(rules)))
    for label, entry in listing:
        state = entry.stat()
        # The inode tells files apart that changed places, for an archive may unpack all with one time.
        about = f"{classes[label]}/{entry.name} {state.st_ino} {state.st_size} {state.st_mtime_ns};"
        digest.update(os.fsencode(about))
    cache = _cache_file(base)
    images = _read_cache(cache, digest.hexdigest(), len(listing), size or LARGEST_AS_IS)
    if images is None:
        images = _decode_all([entry.path for _, entry in listing], size)
        _write_cache(cache, digest.hexdigest(), images)
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


def _decode_all(files: list[str], wanted: int | None) -> Tensor:
    decoded, some_large = [], False
    for file in files:
        try:
            pixels = decode_image(Path(file).read_bytes()).pixels
        except ImageError as error:
            raise DatasetError(f"{file}: {error}") from error
        large = max(pixels.shape[:2]) > (wanted or LARGEST_AS_IS)
        if large:  # shrunk at once: thousands of photographs do not fit into memory
            pixels = fit_image(pixels, 3 if pixels.ndim == 3 else 1, wanted or FOLDER_SIZE)
            pixels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        some_large |= large
        decoded.append(pixels)
    channels = 1 if all(pixels.ndim == 2 for pixels in decoded) else 3
    sizes = {pixels.shape[:2] for pixels in decoded}
    height, width = next(iter(sizes))
    as_is = not some_large and len(sizes) == 1 and height == width <= LARGEST_AS_IS
    size = wanted or (height if as_is else FOLDER_SIZE)
    return torch.from_numpy(np.stack([fit_image(pixels, channels, size) for pixels in decoded]))


def _cache_file(base: Path) -> Path:
    """Return the one file for a split, so that the images of a split that has changed replace the old ones."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lsp-lab"
    place = base.resolve()
    title = f"{place.parent.name}-{place.name}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:24]}"
    return home / f"{title}.safetensors"


def _read_cache(path: Path, key: str, count: int, largest: int) -> Tensor | None:
    """Return the images of that key (files and rules of decoding), None if what is there is not just these."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
            images = torch.as_tensor(file.get_tensor("images"))
    except (OSError, SafetensorError):
        return None
    if images.dtype != torch.uint8 or images.dim() != 4:
        return None
    found, channels, height, width = images.shape
    fits = found == count and channels in (1, 3) and 0 < height == width <= largest
    return images if fits else None


def _write_cache(path: Path, key: str, images: Tensor) -> None:
    try:
        with replacing(path) as partial:
            save_file({"images": images}, partial, {"key": key})
    except (OSError, SafetensorError):
        pass  # a full disk or a read-only home costs time at the next start, nothing else
