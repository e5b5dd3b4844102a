"""What several commands share: their options, the device, and the one console that prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from torch import Tensor

from lsp_core.data import ImageDataset, load_dataset
from lsp_core.device import pick_device
from lsp_core.store.checkpoint import Card, load_checkpoint
from lsp_core.types import Classifier

console = Console(markup=False, emoji=False)  # what is printed may come from a file that nobody vouches for

Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
DataRoot = Annotated[str | None, typer.Option(help="Where data sets lie; else $LSP_DATA, else data/.")]
JsonPath = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON to this path.")]
Seed = Annotated[int, typer.Option(help="Of every random choice.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set if it is absent.")]


@dataclass(frozen=True)
class Subject:
    """A checkpoint and the test images (n,C,H,W) in [0,1] that it is to be examined on."""

    model: Classifier
    card: Card
    data: ImageDataset
    images: Tensor
    labels: Tensor


def open_subject(
    checkpoint: Path,
    dataset: str | None,
    n: int,
    seed: int,
    device: str,
    data_root: str | None,
    download: bool,
) -> Subject:
    """Load a checkpoint, and draw n test images by ``seed`` from its own data set or from another that fits.

    Raises:
        ValueError: if a file, a name or a number is not what it should be.
    """
    if n < 1:
        raise ValueError(f"n is {n}, but it must be 1 or more.")
    place = pick_device(device)
    model, card = load_checkpoint(checkpoint, place)
    data = load_dataset(dataset or card.dataset, "test", data_root, download=download)
    check_fit(card, data)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    images = data.float(rows).to(place).contiguous(memory_format=torch.channels_last)
    return Subject(model.to(memory_format=torch.channels_last), card, data, images, data.labels[rows].to(place))


def trained_eps(card: Card, norm: str) -> float:
    """Return the radius that a checkpoint was trained for, which is used where nobody gives one.

    Raises:
        ValueError: if it is of another norm than the Linf of the training.
    """
    if norm == "L2":
        raise ValueError("eps is missing: the model was trained for a Linf radius, which says nothing about L2.")
    return float(card.config.get("eps", 8 / 255))


def names(table: Iterable[str]) -> str:
    """Return the names in a table, for a help text."""
    return ", ".join(table)


def check_fit(card: Card, data: ImageDataset) -> None:
    """Refuse a data set whose images or classes are not those of the model.

    Raises:
        ValueError: saying what differs.
    """
    if data.image_shape != card.image_shape:
        raise ValueError(f"{card.name} takes images of {card.image_shape}, but {data.name} has {data.image_shape}.")
    if data.classes != card.classes:
        raise ValueError(f"{card.name} was trained on other classes than those of {data.name}.")
