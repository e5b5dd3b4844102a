"""``audit``: does a model look robust only because attacks on it fail for another reason?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from torch import nn
from tqdm import tqdm

from lsp_core.attacks.norms import NORMS
from lsp_core.audit import Audited, Report
from lsp_core.audit import audit as run_audit
from lsp_core.cli.console import console
from lsp_core.cli.options import (
    BatchSize,
    DataRoot,
    Device,
    Download,
    JsonPath,
    ModelOnImages,
    Seed,
    Workers,
    check_json,
    open_model,
    open_other,
    radius,
)
from lsp_core.radius import show_eps
from lsp_core.store.card import twin_of
from lsp_core.store.provenance import today, versions
from lsp_core.types import pick

N_QUICK, N_FULL = 128, 512
COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


def audit(
    checkpoint: Annotated[Path, typer.Argument(help="NAME.safetensors")],
    twin: Annotated[
        Path | None, typer.Option(help="Checkpoint to transfer attacks from; default: its twin beside it, if any.")
    ] = None,
    eps: Annotated[
        str | None, typer.Option(help="Radius, 0.1 or 8/255; default: what the model was trained for.")
    ] = None,
    norm: Annotated[str, typer.Option(help="Linf or L2.")] = "Linf",
    n: Annotated[int | None, typer.Option(help=f"Test images, drawn by --seed; {N_QUICK} or, full, {N_FULL}.")] = None,
    quick: Annotated[bool, typer.Option("--quick/--full", help="Minutes, or what a publication needs.")] = True,
    batch_size: BatchSize = 256,
    workers: Workers = None,
    dataset: Annotated[str | None, typer.Option(help="Another data set or folder than the checkpoint's own.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Look for signs that attacks on a model fail for reasons other than robustness."""
    pick("norm", norm, NORMS)
    check_json(json_path, Audited.SCHEMA)
    count = (N_QUICK if quick else N_FULL) if n is None else n
    subject = open_model(checkpoint, dataset, count, seed, device, data_root, download)
    source = find_twin(checkpoint, subject, twin)
    with tqdm(unit="check", leave=False) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = run_audit(
            subject.model,
            subject.images,
            subject.labels,
            radius(eps, subject.card, norm),
            "L2" if norm == "L2" else "Linf",
            twin=source,
            quick=quick,
            seed=seed,
            batch_size=batch_size,
            workers=workers,
            on_progress=on_progress,
        )
    console.print(table(report, f"{subject.card.name} on {subject.data.name} test"))
    for name, reason in report.left_out.items():
        console.print(f"left out: {name}: {reason}.")
    console.print(f"{report.verdict[0].upper()}{report.verdict[1:].removesuffix('.')}.")
    if json_path:
        audited(report, subject).write(json_path)


def audited(report: Report, subject: ModelOnImages) -> Audited:
    """Return a report with what it is of, and where and when it was made."""
    return Audited.of(
        report,
        checkpoint=subject.card.name,
        weights=subject.weights,
        dataset=subject.data.name,
        split=subject.data.split,
        device=subject.place,
        versions=versions(),
        date=today(),
    )


def find_twin(checkpoint: Path, subject: ModelOnImages, given: Path | None) -> nn.Module | None:
    """Load the checkpoint to transfer attacks from: the one that is given, else the twin beside it, if there is one.

    Raises:
        ValueError: if it is no checkpoint, or takes other images or classes.
    """
    path = given or checkpoint.with_stem(twin_of(checkpoint.stem))
    return open_other(path, subject, "twin") if given or path.exists() else None


def table(report: Report, title: str) -> Table:
    """Return a row per check."""
    low, high = report.robust_interval
    about = f"{report.norm} {show_eps(report.eps)}, n = {report.n}, seed {report.seed}, {report.form} form"
    caption = (
        f"clean {report.clean_accuracy:.1%}, worst case of {len(report.attacks)} attacks "
        f"{report.robust_accuracy:.1%} ({low:.1%} to {high:.1%}), {report.seconds:.0f} s"
    )
    rows = Table("check", "status", "evidence", title=f"{title}\n{about}", caption=caption)
    for check in report.checks:
        rows.add_row(Text(check.name), Text(check.status, COLOURS[check.status]), Text(check.evidence))
    return rows
