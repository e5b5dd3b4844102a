"""What several commands share: their options, and what they are given."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from lsp_core.attacks.losses import LOSSES
from lsp_core.attacks.table import ATTACKS
from lsp_core.data import ImageDataset, drawn_rows, load_dataset
from lsp_core.device import pick_device
from lsp_core.radius import parse_eps
from lsp_core.store.card import Card
from lsp_core.store.checkpoint import checkpoint_weights, load_checkpoint
from lsp_core.store.schema import schema_of
from lsp_core.types import Classifier


def names(table: Iterable[str]) -> str:
    """Return the names in a table, for a help text."""
    return ", ".join(table)


def takers(setting: str) -> str:
    """Return which attacks take a setting, each with what it is where nobody says, for a help text."""
    found = []
    for name, kind in ATTACKS.items():
        if setting in kind.takes:
            usual = kind.usual.get(setting, inspect.signature(kind.build).parameters[setting].default)
            found.append(name if usual is None else f"{name} ({usual})")
    return ", ".join(found)


Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
DataRoot = Annotated[str | None, typer.Option(help="Where data sets lie; else $LSP_DATA, else data/.")]
JsonPath = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON to this path.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of every random choice.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set if it is absent.")]
BatchSize = Annotated[int, typer.Option(min=1, max=2**31 - 1, help="Images at once, at most.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Batches side by side, a core each; default: all cores. Changes no result.")
]
Steps = Annotated[int | None, typer.Option(help=f"For {takers('steps')}; a step of pgd is 2.5 eps / steps long.")]
Restarts = Annotated[int | None, typer.Option(help=f"For {takers('restarts')}; the worst counts, per image.")]
Loss = Annotated[str | None, typer.Option(help=f"What is climbed, {names(LOSSES)}; for {takers('loss')}.")]
Queries = Annotated[int | None, typer.Option(help=f"For {takers('queries')}.")]
Source = Annotated[Path | None, typer.Option(help=f"For {takers('source')}: the checkpoint that is attacked instead.")]


@dataclass(frozen=True)
class ModelOnImages:
    """A checkpoint and the test images (n,C,H,W) in [0,1] that it is to be examined on.

    Attributes:
        stem: what the file is called, and files that belong to it; its card may say anything.
        weights: see ``weights_sha256``.
    """

    stem: str
    weights: str
    model: Classifier
    card: Card
    data: ImageDataset
    images: Tensor
    labels: Tensor

    @property
    def place(self) -> str:
        """The kind of device that it is on."""
        return self.images.device.type


def open_model(
    checkpoint: Path,
    dataset: str | None,
    n: int,
    seed: int,
    device: str,
    data_root: str | None,
    download: bool,
) -> ModelOnImages:
    """Load a checkpoint, and draw n test images by ``seed`` from its own data set or from another that fits.

    Raises:
        ValueError: if a file, a name or a number is not what it should be.
    """
    if n < 1:
        raise ValueError(f"n is {n}, but it must be 1 or more.")
    place = pick_device(device)
    model, card = load_checkpoint(checkpoint, place)
    size = card.image_shape[1] if card.origin else None
    data = load_dataset(dataset or card.dataset, "test", data_root, download=download, size=size)
    check_fit(card, data)
    data = data.named(card.classes)
    rows = drawn_rows(len(data), n, seed)
    images = data.float(rows).to(place).contiguous(memory_format=torch.channels_last)
    model, weights = model.to(memory_format=torch.channels_last), checkpoint_weights(checkpoint)
    return ModelOnImages(checkpoint.stem, weights, model, card, data, images, data.labels[rows].to(place))


def open_other(path: Path, subject: ModelOnImages, role: str) -> Classifier:
    """Load a checkpoint to transfer attacks from.

    Raises:
        ValueError: naming its ``role``, if it is no checkpoint, or takes other images or classes.
    """
    model, card = load_checkpoint(path, subject.place)
    if (card.image_shape, card.classes) != (subject.card.image_shape, subject.card.classes):
        raise ValueError(f"{role} is {path}, which takes other images or classes than {subject.stem}.")
    return model


def check_gradient(card: Card, attacks: Iterable[str]) -> None:
    """Refuse attacks that ask for a gradient, several joined by +, where the model has none.

    Raises:
        ValueError: naming the attack and those that there are.
    """
    wanting = [name for joined in attacks for name in joined.split("+") if name in ATTACKS and ATTACKS[name].gradient]
    if not card.gradient and wanting:
        others = names(name for name, kind in ATTACKS.items() if not kind.gradient)
        raise ValueError(f"{card.name} has no gradient for {wanting[0]} to follow: choose of {others}.")


def radius(text: str | None, card: Card, norm: str) -> float:
    """Read a radius; without one it is that which the checkpoint was trained for.

    Raises:
        ValueError: if it is no number, or nobody gives one and the norm is another than the Linf of the training.
    """
    if text is not None:
        return parse_eps(text)
    if norm == "L2":
        raise ValueError("eps is missing: the model was trained for a Linf radius, which says nothing about L2.")
    return card.eps


def check_json(path: Path | None, schema: str = "") -> None:
    """Refuse a path for --json before hours of work, not after.

    Args:
        path: None is none.
        schema: of what will be written; a file that is there must be of the same format, of whatever version.

    Raises:
        ValueError: if nothing can be written there, or something else would be lost.
    """
    check_file("json", path)
    kind = schema.rpartition("/")[0]
    if kind and path is not None and path.exists() and not str(schema_of(path)).startswith(f"{kind}/"):
        raise ValueError(f"json is {path}, which is no {kind} file and would be lost: give another path.")


def check_file(name: str, path: Path | None) -> None:
    """Refuse a file to be written, None is none, before hours of work.

    Raises:
        ValueError: naming the option, if nothing can be written there.
    """
    if path is None:
        return
    if path.exists() and not path.is_file():
        raise ValueError(f"{name} is {path}, which is no file: give another path.")
    check_folder(name, path.parent)


def check_folder(name: str, path: Path) -> None:
    """Refuse a folder, which need not be there yet, before hours of work.

    Raises:
        ValueError: naming the option, if nothing can be written there.
    """
    there = next(above for above in (path.absolute(), *path.absolute().parents) if above.exists() or above.is_symlink())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise ValueError(f"{name} is below {there}, where nothing can be written: give another path.")


def check_fit(card: Card, data: ImageDataset) -> None:
    """Refuse a data set whose images or classes are not those of the model.

    Raises:
        ValueError: saying what differs.
    """
    if data.image_shape != card.image_shape:
        raise ValueError(f"{card.name} takes images of {card.image_shape}, but {data.name} has {data.image_shape}.")
    if not set(data.classes) <= set(card.classes):
        raise ValueError(f"{card.name} was trained on other classes than those of {data.name}.")
