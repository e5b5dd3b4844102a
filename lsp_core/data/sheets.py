"""A split of a data set as lossless WebP sheets: few files, small, and the same pixels everywhere.

``SPLIT-0.webp``, ``SPLIT-1.webp`` and so on hold the images, row by row from the upper left, and ``SPLIT.json`` says
what they are. A sheet has so few pixels that even one of noise is below the limits of ``decode_image``, by which it is
read: so it may come from anywhere.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lsp_core.data.dataset import DatasetError, ImageDataset, Split
from lsp_core.data.images import MAX_BYTES, ImageError, decode_image
from lsp_core.store.files import replacing
from lsp_core.store.schema import SchemaError, Stored, read

SIDE = 1792  # pixels of a full sheet: 56 x 56 images of 32; as raw colours 9.6 of the 10 MB that are decoded
LARGEST = 64  # pixels of an image's side


@dataclass(frozen=True)
class Sheets(Stored):
    """What the sheets of a split hold.

    Attributes:
        image_shape: channels (1 or 3), height and width.
        classes: the names by label.
        labels: a number for each image, parted by spaces: a line where a list would be thousands.
        sha256: of the pixels, image after image.
        rows: which images of the split these are, a number each, parted by spaces; "" for all of it.
        origin: who made the images, and where they are from; ``terms`` on which they may be given away.
    """

    SCHEMA: ClassVar[str] = "lsp-lab/sheets/1"

    name: str
    split: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    labels: str
    sha256: str
    origin: str = ""
    terms: str = ""
    rows: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ValueError: naming the field.
        """
        channels, *sides = self.image_shape
        if channels not in (1, 3) or not all(1 <= side <= LARGEST for side in sides):
            raise ValueError(f"image_shape is {list(self.image_shape)}, not 1 or 3 channels of up to {LARGEST} pixels.")
        if not self.numbers or not all(0 <= number < len(self.classes) for number in self.numbers):
            raise ValueError(f"labels must be numbers from 0 to {len(self.classes) - 1}, and one at least.")
        if self.rows and (len(self.places) != len(self.numbers) or min(self.places) < 0):
            raise ValueError("rows must be a number from 0 for each label.")

    @property
    def numbers(self) -> list[int]:
        """The labels."""
        return [int(word) for word in self.labels.split()]

    @property
    def places(self) -> list[int]:
        """The rows."""
        return [int(word) for word in self.rows.split()]


def write_sheets(data: ImageDataset, folder: Path, origin: str = "", terms: str = "") -> list[Path]:
    """Write a split to ``folder``, and return the files: the sheets, and last what they hold.

    Raises:
        ValueError: if it has no images, or larger ones than sheets are made for.
    """
    labels, rows = (" ".join(map(str, [] if of is None else of.tolist())) for of in (data.labels, data.rows))
    about = (data.name, data.split, data.image_shape, data.classes)
    facts = Sheets(*about, labels, _digest(data.images), origin, terms, rows)
    files = []
    for number, (start, stop) in enumerate(_spans(len(data), *data.image_shape[1:])):
        files.append(_path(folder, data.split, number))
        with replacing(files[-1]) as partial:
            sheet = Image.fromarray(_laid_out(data.images[start:stop]))
            sheet.save(partial, "WEBP", lossless=True, quality=75, method=4)  # more makes it smaller by 1 %
    for number in itertools.count(len(files)):  # of a larger data set that was here before
        if not (stale := _path(folder, data.split, number)).is_file():
            break
        stale.unlink()
    facts.write(folder / f"{data.split}.json")
    return [*files, folder / f"{data.split}.json"]


def load_sheets(folder: Path, split: Split) -> ImageDataset | None:
    """Load a split from the sheets in ``folder``, None if there are none.

    Raises:
        DatasetError: if a file is missing, damaged or too large, or the pixels are others than were written.
    """
    path = folder / f"{split}.json"
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise DatasetError(f"{path} has more than {MAX_BYTES / 1e6:.0f} MB, too many for a list of labels.")
    try:
        facts = read(Sheets, path)
    except SchemaError as error:
        raise DatasetError(str(error)) from error
    if (facts.name, facts.split) != (folder.name, split):
        raise DatasetError(f"{path} is of the {facts.split} split of {facts.name}, not of what its place says.")
    labels, shape = torch.tensor(facts.numbers), facts.image_shape
    spans = enumerate(_spans(len(labels), *shape[1:]))
    images = torch.cat([_read(_path(folder, split, number), stop - start, shape) for number, (start, stop) in spans])
    if _digest(images) != facts.sha256:
        raise DatasetError(f"the sheets beside {path} hold other pixels than it was written with: pack them again.")
    rows = torch.tensor(facts.places) if facts.rows else None
    return ImageDataset(facts.name, split, images, labels, facts.classes, rows=rows)


def _path(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number}.webp"


def _spans(count: int, height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the first image of each sheet, and the one after its last."""
    size = (SIDE // height) * (SIDE // width)
    return ((start, min(start + size, count)) for start in range(0, count, size))


def _grid(count: int, height: int, width: int) -> tuple[int, int]:
    """Return how many rows and columns of images a sheet has: a square if it need not be full."""
    columns = min(SIDE // width, max(math.ceil(math.sqrt(count)), math.ceil(count / (SIDE // height))))
    return math.ceil(count / columns), columns


def _laid_out(images: Tensor) -> NDArray[np.uint8]:
    """Return images (n,C,H,W) as a sheet of colours; black where there is none left."""
    count, channels, height, width = images.shape
    rows, columns = _grid(count, height, width)
    tiles = torch.zeros(rows * columns, 3, height, width, dtype=torch.uint8)
    tiles[:count] = images.expand(count, 3, height, width) if channels == 1 else images
    sheet = tiles.view(rows, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    return sheet.reshape(rows * height, columns * width, 3).numpy()


def _read(path: Path, count: int, shape: tuple[int, int, int]) -> Tensor:
    """Return the images (count,C,H,W) of a sheet."""
    channels, height, width = shape
    rows, columns = _grid(count, height, width)
    try:
        pixels = decode_image(path.read_bytes()).pixels
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    except ImageError as error:
        raise DatasetError(f"{path}: {error}") from error
    if pixels.shape != (rows * height, columns * width, 3):
        raise DatasetError(f"{path} has another size than a sheet of {count} such images.")
    tiles = torch.from_numpy(pixels).view(rows, height, columns, width, 3).permute(0, 2, 4, 1, 3)
    return tiles.reshape(-1, 3, height, width)[:count, :channels].contiguous()


def _digest(images: Tensor) -> str:
    return hashlib.sha256(images.contiguous().numpy().data).hexdigest()
