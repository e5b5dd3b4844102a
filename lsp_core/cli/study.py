"""``study``: all runs of a preset, and the page that says what came of them."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from lsp_core.cli.console import console
from lsp_core.cli.options import DataRoot, Device, Download, JsonPath, Workers, check_file, check_folder
from lsp_core.data import ImageDataset, Split, load_dataset
from lsp_core.device import pick_device
from lsp_core.radius import show_eps
from lsp_core.store.files import replacing, write_json
from lsp_core.study import Archive, Budget, Run, TimeUp, Worker, read_preset
from lsp_core.study.page.cells import counted
from lsp_core.study.page.report import write_report
from lsp_core.study.result import Result
from lsp_core.training import EpochLog


def study(
    preset: Annotated[str, typer.Argument(help="smoke, cpu, gpu or terms, or the path of a file like those.")],
    only: Annotated[str, typer.Option(help="Do the runs whose name contains this, for example mnist.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the results, and the page README.md.")] = Path("results"),
    work: Annotated[Path, typer.Option(help="Folder for the checkpoints.")] = Path("runs"),
    device: Device = "auto",
    minutes: Annotated[
        float | None,
        typer.Option(help="End after so long, with what is done kept: the same command goes on. Default: no limit."),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="File that the study goes on from, if it is there, and is kept in at the end; in parts."),
    ] = None,
    workers: Workers = None,
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Train and attack every run of a preset. What is done is skipped; what was cut off goes on."""
    budget = Budget(minutes) if minutes is not None else None
    for name, path in (("json", json_path), ("archive", archive)):
        check_file(name, path)
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
    worker = Worker(folder, work / chosen.name, load, place, command, workers)
    held: set[str] = set()
    store = Archive(archive, worker.results, worker.work) if archive is not None else None
    if store is not None and store.path.exists():
        held = store.unpack({run.id for run in chosen.runs()})
    for run in runs:  # before hours of work, not after
        try:
            worker.check(run)
        except ValueError as error:
            raise ValueError(f"{run.id}: {error}") from error
    with replacing(folder / "preset.toml") as partial:
        partial.write_text(chosen.text, encoding="utf-8")
    came = Outcome()
    kept: list[Path] = []
    try:
        do_all(worker, runs, chosen.name, out, budget, came)
    finally:  # also when something nobody thought of ends it, for what was done may lie on a machine that is lent
        if store is not None:
            kept = store.write({**dict.fromkeys(held, False), **{run.id: run.id in came.whole for run in runs}})
    if json_path:
        write_json(json_path, {"preset": chosen.name, "runs": [result.to_record() for result in came.done.values()]})
    if came.failed:
        failures = " ".join(came.failed.values())
        raise ValueError(f"{len(came.failed)} of {len({run.id for run in runs})} runs failed. {failures}")
    page = write_report(out) or f"no page was written, since jinja2 is not there; what is known lies in {folder}"
    console.print(f"{said(came, budget)}: {page}{size(kept)}")


@dataclass(frozen=True)
class Outcome:
    """What came of runs, by their names.

    Attributes:
        done: what is known of those that have come to the end of their grid, one at least if they stand in several.
        failed: why.
        left: those that there was no time for, or not enough.
    """

    done: dict[str, Result] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    @property
    def whole(self) -> set[str]:
        """The runs of which nothing is left."""
        return self.done.keys() - self.failed.keys() - self.left


def do_all(worker: Worker, runs: Sequence[Run], title: str, out: Path, budget: Budget | None, came: Outcome) -> None:
    """Do runs under progress bars as long as there is time, note what comes of them, and keep the page up to date."""
    begun: set[str] = set()
    with tqdm(total=len(runs), unit="run", desc=title) as outer, tqdm(leave=False) as inner:
        worker = watched(worker, inner, begun, budget)
        for run in (run for run in runs if run.id not in came.failed):
            try:
                came.done[run.id] = worker.do(run)
                outer.write(summary(came.done[run.id]))
                if run.id in begun:  # else there is nothing new to draw
                    write_report(out)
            except TimeUp:
                came.left.add(run.id)
            except (ValueError, OSError) as error:
                came.failed[run.id] = f"{run.id}: {error}"
                outer.write(came.failed[run.id])
            outer.update()


def watched(worker: Worker, bar: tqdm[Any], begun: set[str], budget: Budget | None) -> Worker:
    """Return a worker that moves a bar, notes the runs that it begins something of, and keeps to a budget."""

    def check(ahead: float = 0.0) -> None:
        if budget is not None:
            budget.check(ahead)

    def on_part(run: Run, part: str) -> None:
        check()
        begun.add(run.id)
        bar.reset(total=1)
        bar.set_description(f"{run.id}: {part}")

    def on_batch(epoch: int, batch: int, batches: int) -> None:
        bar.total, bar.unit = batches, "step"
        bar.set_postfix_str(f"epoch {epoch + 1}", refresh=False)
        bar.update(batch - bar.n)

    def on_epoch(log: EpochLog) -> None:
        check(log.seconds)

    def on_progress(passes: int, total: int) -> None:
        check()
        bar.total, bar.unit = total, "pass"
        bar.update(passes - bar.n)

    return dataclasses.replace(worker, on_part=on_part, on_batch=on_batch, on_epoch=on_epoch, on_progress=on_progress)


def said(came: Outcome, budget: Budget | None) -> str:
    """Write how far it came as one clause."""
    if budget is None or not came.left:
        return counted(len(came.done), "run")
    done, left = counted(len(came.whole), "run"), len(came.left)
    return f"the {budget.minutes:g} minutes are over with {done} done and {left} left, and the same command goes on"


def size(kept: Sequence[Path]) -> str:
    """Write how large an archive is as one clause, nothing if there is none."""
    if not kept:
        return ""
    megabytes = sum(path.stat().st_size for path in kept) / 1e6
    return f", and {kept[0]} in {counted(len(kept), 'part')} of {megabytes:.1f} MB in all"


def summary(result: Result) -> str:
    """Write a run as one line."""
    first, radius = result.evaluations[0], show_eps(result.eps)
    figures = ", ".join(f"{entry.name} {entry.robust_accuracy:.1%}" for entry in result.evaluations)
    return f"{result.id}: clean {first.clean_accuracy:.1%}, at {radius} {figures} (n {first.n})"
