"""``bench``: our times beside other people's, as a table, as a page and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from tqdm import tqdm

from lsp_core.bench import DATASETS, PARTS, QUICK, Extent, Measurement, measure, open_pairs
from lsp_core.bench.report import HEADINGS, cells, machine, to_markdown, to_record
from lsp_core.cli.console import console
from lsp_core.cli.options import DataRoot, Device, JsonPath, Seed, check_folder, check_json, names
from lsp_core.device import pick_device
from lsp_core.store.files import replacing, write_json
from lsp_core.types import pick


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="The digits alone, few images and runs: seconds.")] = False,
    parts: Annotated[str, typer.Option(help=f"Comma-separated: {names(PARTS)}.")] = ",".join(PARTS),
    datasets: Annotated[str, typer.Option(help=f"Comma-separated: {names(DATASETS)}.")] = ",".join(DATASETS),
    n: Annotated[int | None, typer.Option(help="Images for AutoAttack, which takes minutes. [default: 100]")] = None,
    runs: Annotated[int | None, typer.Option(help="Turns of every comparison. [default: 5]")] = None,
    checkpoints: Annotated[Path, typer.Option(help="Folder of the shipped checkpoints.")] = Path("checkpoints"),
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    out: Annotated[Path | None, typer.Option(help="Also write the table as a page of Markdown to this path.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Measure our attacks, metrics and training steps side by side with other people's."""
    check_json(json_path)
    check_folder("out", out.parent if out else Path())
    place = pick_device(device)
    chosen = [name.strip() for name in parts.split(",")]
    for name in chosen:
        pick("part", name, PARTS)
    if n is not None and n < 1:
        raise ValueError(f"n is {n}, but it must be 1 or more.")
    given = {"runs": runs, "referee_images": n, "seed": seed, "device": place}
    asked = {key: value for key, value in given.items() if value is not None}
    extent = Extent(**{**(QUICK if quick else {}), **asked})  # type: ignore[arg-type]
    wanted = [name.strip() for name in datasets.split(",")]
    for name in wanted:
        pick("data set of the bench", name, dict.fromkeys(DATASETS))
    about = machine(place)  # before the work, for the load
    pairs, absent = open_pairs(wanted[:1] if quick else wanted, checkpoints, data_root, place)
    rows: list[Measurement] = []
    with tqdm(unit="row", leave=False) as bar:

        def keep(row: Measurement) -> None:
            rows.append(row)
            bar.set_postfix_str(row.what, refresh=False)
            bar.update()
            if out:
                with replacing(out) as partial:
                    partial.write_text(to_markdown(rows, about, extent, absent), encoding="utf-8")
            if json_path:
                write_json(json_path, to_record(rows, about, extent, absent))

        measure(chosen, pairs, extent, keep)
    table = Table(*HEADINGS, title="bench")
    for row in rows:
        table.add_row(*cells(row))
    console.print(table)
    for name in absent:
        console.print(f"{name} was left out: its data is not here.")
