"""``info``: what a checkpoint, a folder or a data set holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lsp_core.cli.console import console
from lsp_core.cli.options import DataRoot, Download, JsonPath, check_folder, check_json, names
from lsp_core.data import DATASETS, ImageDataset, Split, load_dataset, stratified_split
from lsp_core.data import data_root as find_root
from lsp_core.data.sheets import write_sheets
from lsp_core.store.checkpoint import checkpoint_weights, list_checkpoints, read_card
from lsp_core.store.files import write_json
from lsp_core.types import Record


def info(
    what: Annotated[str, typer.Argument(help="A checkpoint, a folder of checkpoints, or a data set.")] = "checkpoints",
    data_root: DataRoot = None,
    download: Download = False,
    pack: Annotated[
        Path | None, typer.Option(help="Also write a named data set below this folder, as a data root to carry along.")
    ] = None,
    n: Annotated[int | None, typer.Option(min=1, help="Pack at most this many images of each split.")] = None,
    split: Annotated[Split | None, typer.Option(help="Pack this split alone.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Show the card of a checkpoint, the checkpoints in a folder, or what a data set holds."""
    check_json(json_path)
    path = Path(what)
    if n is not None and pack is None:
        raise ValueError(f"n is {n}, but only what is packed can be less than a whole data set: give --pack, too.")
    if split is not None and pack is None:
        raise ValueError(f"split is {split}, but it says what is packed: give --pack, too.")
    if pack is not None:
        check_pack(what, pack, data_root)
    if path.suffix == ".safetensors":
        card = read_card(path)
        record: Record = {**card.to_record(), "weights": checkpoint_weights(path)}
    elif path.is_dir() and not (path / "train").is_dir():
        cards, problems = list_checkpoints(path)
        record = {name: f"{card.dataset}, {card.model}, {card.objective}" for name, card in cards.items()}
        record.update(problems)
        if not record:
            hint = f"train one with `python -m lsp_core train digits --out {path}`"
            raise ValueError(f"{path} holds no checkpoint: {hint}.")
    else:
        halves: tuple[Split, Split] = ("train", "test")
        splits = [load_dataset(what, split, data_root, download=download) for split in halves]
        record = {f"{data.split} images": f"{len(data)} of shape {data.image_shape}" for data in splits}
        record["random changes that keep a class"] = ", ".join(splits[0].changes) or "none"
        record["classes"] = splits[0].classes
        if pack is not None:
            wanted = [data for data in splits if split in (None, data.split)]
            record |= {f"packed {data.split} images": packed(data, pack / what, n) for data in wanted}
    table = Table("", "", title=what, show_header=False)
    for key, value in record.items():
        shown = {k: v for k, v in value.items() if k != "history"} if isinstance(value, dict) else value
        table.add_row(key, str(shown))
    console.print(table)
    if json_path:
        write_json(json_path, record)


def check_pack(what: str, pack: Path, data_root: str | None) -> None:
    """Refuse to pack what could not be found again, or would hide what it is made of.

    Raises:
        ValueError: naming the option.
    """
    if what not in DATASETS:
        raise ValueError(f"pack is for data sets with a name ({names(DATASETS)}), but {what} is none of them.")
    if pack.absolute() == find_root(data_root).absolute():
        raise ValueError(f"pack is {pack}, where the data set itself is looked for and would be hidden: give another.")
    check_folder("pack", pack)


def packed(data: ImageDataset, folder: Path, n: int | None) -> str:
    """Pack a split, or n of its images with each class in proportion, and say what that came to."""
    if n is not None and n < len(data):
        data = data.subset(stratified_split(data.labels, n, seed=0)[1])
    source = DATASETS[data.name]
    files = write_sheets(data, folder, source.origin, source.terms)
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    return f"{len(data)} in {len(files)} files of {megabytes:.1f} MB in all, in {folder}"
