"""``info``: what a checkpoint, a folder or a data set holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lsp_core.cli.console import console
from lsp_core.cli.options import DataRoot, Download, JsonPath, check_json
from lsp_core.data import Split, load_dataset
from lsp_core.store.checkpoint import checkpoint_weights, list_checkpoints, read_card
from lsp_core.store.files import write_json
from lsp_core.types import Record


def info(
    what: Annotated[str, typer.Argument(help="A checkpoint, a folder of checkpoints, or a data set.")] = "checkpoints",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Show the card of a checkpoint, the checkpoints in a folder, or what a data set holds."""
    check_json(json_path)
    path = Path(what)
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
    table = Table("", "", title=what, show_header=False)
    for key, value in record.items():
        shown = {k: v for k, v in value.items() if k != "history"} if isinstance(value, dict) else value
        table.add_row(key, str(shown))
    console.print(table)
    if json_path:
        write_json(json_path, record)
