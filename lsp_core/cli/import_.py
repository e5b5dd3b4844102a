"""``import``: a model from outside becomes a checkpoint like any other."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from lsp_core.cli.console import console
from lsp_core.cli.options import DataRoot, Download, JsonPath, Seed, check_folder, check_json
from lsp_core.data import load_dataset
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.models.outside.bring import bring
from lsp_core.models.outside.foreign import Foreign, read_foreign
from lsp_core.models.outside.formats import OutsideError, check_bytes
from lsp_core.store.card import Card
from lsp_core.store.checkpoint import checkpoint_weights, new_path, save_checkpoint
from lsp_core.store.files import write_json
from lsp_core.store.origin import Origin

MOST_CLASSES_BYTES = 10_000_000


def import_(
    file: Annotated[Path, typer.Argument(help="MODEL.onnx (with MODEL.onnx.data beside it), or WEIGHTS.safetensors.")],
    data: Annotated[
        str, typer.Option(help="Labelled images to try it on: a data set, or a folder with test/<class>/.")
    ],
    architecture: Annotated[
        str | None, typer.Option(help="Of weights in a safetensors file: torchvision/NAME or timm/NAME.")
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="Names of its classes, a line each; default: the data's, or ImageNet's of 1,000."),
    ] = None,
    preparation: Annotated[
        str | None, typer.Option("--preprocessing", help="What it wants done to images; default: what does best.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Pixels of a folder's images; default: what the file says.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call it; default: as the file.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint.")] = Path("imported"),
    n: Annotated[int, typer.Option(min=1, help="Images to try it on, drawn by --seed.")] = 200,
    seed: Seed = 0,
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Bring a trained model from a file (ONNX, or weights of a known architecture), without running any code of it."""
    check_json(json_path)
    check_folder("out", out)
    called = name or re.sub(r"[^\w.-]+", "-", file.stem).strip("-.") or "model"
    path = new_path(out, called)
    foreign = opened(file, architecture)
    images = load_dataset(data, "test", data_root, download=download, size=size or foreign.side)
    listed = read_classes(classes) if classes else None
    with tqdm(unit="preprocessing", leave=False, delay=1) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        command = f"python -m lsp_core {shlex.join(sys.argv[1:])}"
        try:
            model, card = bring(
                foreign,
                images,
                called,
                classes=listed,
                wanted=preparation,
                n=n,
                seed=seed,
                command=command,
                on_progress=on_progress,
            )
        except OutsideError as error:
            raise OutsideError(f"{file} cannot be imported: {error}") from error
    save_checkpoint(path, model, card)
    if card.origin:
        show(card, card.origin)
    console.print(f"checkpoint: {path}")
    if json_path:
        write_json(json_path, {**card.to_record(), "checkpoint": str(path), "weights": checkpoint_weights(path)})


def opened(file: Path, architecture: str | None) -> Foreign:
    """Read the file of a model, and the one beside it that may hold its weights; nothing else is opened.

    Raises:
        ValueError: naming the file, if it is not there or not taken.
    """
    beside = file.with_name(f"{file.name}.data")
    try:
        parts = [part for part in (file, beside) if part is file or part.is_file()]
        check_bytes(sum(part.stat().st_size for part in parts))
        contents = [part.read_bytes() for part in parts]
        return read_foreign(contents[0], file.name, companion=(*contents, None)[1], named=architecture)
    except OutsideError as error:
        raise OutsideError(f"{file} cannot be imported: {error}") from error


def read_classes(path: Path) -> tuple[str, ...]:
    """Read the names of classes, a line each.

    Raises:
        ValueError: if it is no such file.
    """
    try:
        if path.stat().st_size > MOST_CLASSES_BYTES:
            raise ValueError(f"classes are in {path}, which is too large for a list of names.")
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeError:
        raise ValueError(f"classes are in {path}, which is no text in UTF-8.") from None
    found = tuple(line for line in lines if line)
    if len(found) < 2:
        raise ValueError(f"classes are in {path}, which has {len(found)} lines, but needs one for each class.")
    return found


def show(card: Card, origin: Origin) -> None:
    """Print how often the model is right under each preparation of images, and what the checks found."""
    title = f"{origin.file} ({card.model}) on {card.dataset} test"
    rows = Table("preprocessing", "right", "n", "95 % interval", "", title=title)
    for one in origin.tried:
        low, high = wilson_interval(one.right, one.n)
        chosen = "chosen" if one.name == origin.preparation else ""
        rows.add_row(one.name, f"{one.right / one.n:.1%}", str(one.n), f"{low:.1%} to {high:.1%}", chosen)
    console.print(rows)
    if said := doubt(card, origin):
        console.print(said)
    checks = Table("check", "status", "evidence")
    for check in origin.checks:
        status = Text("pass", "green") if check.passed else Text("fail", "red")
        checks.add_row(Text(check.name), status, Text(check.evidence))
    console.print(checks)


def doubt(card: Card, origin: Origin) -> str:
    """Return a sentence if the model guesses as far as anybody can tell, "" if it does better than that."""
    chosen = next(one for one in origin.tried if one.name == origin.preparation)
    if wilson_interval(chosen.right, chosen.n)[0] > 1 / len(card.classes):
        return ""
    return f"{chosen.name} does not do better than chance: are these its images, and its classes in order?"
