"""``study``: all runs of a preset, and the page that says what came of them."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from lsp_core.cli.console import console
from lsp_core.cli.options import DataRoot, Device, Download, JsonPath, check_folder, check_json
from lsp_core.data import ImageDataset, Split, load_dataset
from lsp_core.device import pick_device
from lsp_core.radius import show_eps
from lsp_core.store.files import replacing, write_json
from lsp_core.study import Run, Worker, read_preset
from lsp_core.study.page.cells import counted
from lsp_core.study.page.report import write_report
from lsp_core.study.result import Result


def study(
    preset: Annotated[str, typer.Argument(help="smoke, cpu or gpu, or the path of a file like those.")],
    only: Annotated[str, typer.Option(help="Do the runs whose name contains this, for example mnist.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the results, and the page README.md.")] = Path("results"),
    work: Annotated[Path, typer.Option(help="Folder for the checkpoints.")] = Path("runs"),
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Train and attack every run of a preset. What is done is skipped; what was cut off goes on."""
    check_json(json_path)
    for name, folder in (("out", out), ("work", work)):
        check_folder(name, folder)
    place, chosen = pick_device(device), read_preset(preset)
    runs = [run for run in chosen.runs() if only in run.id]
    if not runs:
        names = ", ".join(run.id for run in chosen.runs())
        raise ValueError(f"no run of {chosen.name} has {only!r} in its name: they are {names}.")

    @functools.cache
    def load(name: str, split: Split) -> ImageDataset:
        return load_dataset(name, split, data_root, download=download)

    folder, command = out / chosen.name, f"python -m lsp_core study {shlex.quote(preset)}"
    worker = Worker(folder, work / chosen.name, load, place, command)
    for run in runs:  # before hours of work, not after
        try:
            worker.check(run)
        except ValueError as error:
            raise ValueError(f"{run.id}: {error}") from error
    with replacing(folder / "preset.toml") as partial:
        partial.write_text(chosen.text, encoding="utf-8")
    done, failed = do_all(worker, runs, chosen.name, out)
    if json_path:
        write_json(json_path, {"preset": chosen.name, "runs": [result.to_record() for result in done.values()]})
    if failed:
        raise ValueError(f"{len(failed)} of {len({run.id for run in runs})} runs failed. {' '.join(failed.values())}")
    page = write_report(out) or f"no page was written, since jinja2 is not there; what is known lies in {folder}"
    console.print(f"{counted(len(done), 'run')}: {page}")


def do_all(worker: Worker, runs: Sequence[Run], title: str, out: Path) -> tuple[dict[str, Result], dict[str, str]]:
    """Do runs under progress bars, and keep the page in ``out`` up to date.

    Returns:
        By run id what is known of each, and why it failed.
    """
    done: dict[str, Result] = {}
    failed: dict[str, str] = {}
    begun: set[str] = set()
    with tqdm(total=len(runs), unit="run", desc=title) as outer, tqdm(leave=False) as inner:

        def on_part(run: Run, part: str) -> None:
            begun.add(run.id)
            inner.reset(total=1)
            inner.set_description(f"{run.id}: {part}")

        def on_batch(epoch: int, batch: int, batches: int) -> None:
            inner.total, inner.unit = batches, "step"
            inner.set_postfix_str(f"epoch {epoch + 1}", refresh=False)
            inner.update(batch - inner.n)

        def on_progress(passes: int, total: int) -> None:
            inner.total, inner.unit = total, "pass"
            inner.update(passes - inner.n)

        worker = dataclasses.replace(worker, on_part=on_part, on_batch=on_batch, on_progress=on_progress)
        for run in (run for run in runs if run.id not in failed):
            try:
                done[run.id] = worker.do(run)
                outer.write(summary(done[run.id]))
                if run.id in begun:  # else there is nothing new to draw
                    write_report(out)
            except (ValueError, OSError) as error:
                failed[run.id] = f"{run.id}: {error}"
                outer.write(failed[run.id])
            outer.update()
    return done, failed


def summary(result: Result) -> str:
    """Write a run as one line."""
    first, radius = result.evaluations[0], show_eps(result.eps)
    figures = ", ".join(f"{entry.name} {entry.robust_accuracy:.1%}" for entry in result.evaluations)
    return f"{result.id}: clean {first.clean_accuracy:.1%}, at {radius} {figures} (n {first.n})"
