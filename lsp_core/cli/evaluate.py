"""``evaluate``: accuracies under attack, as a table and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table
from tqdm import tqdm

from lsp_core.attacks.describe import label
from lsp_core.attacks.table import ATTACKS, parse_attacks
from lsp_core.cli.console import console
from lsp_core.cli.options import (
    BatchSize,
    DataRoot,
    Device,
    Download,
    JsonPath,
    Loss,
    ModelOnImages,
    Queries,
    Restarts,
    Seed,
    Source,
    Steps,
    Workers,
    check_gradient,
    check_json,
    names,
    open_model,
    open_other,
    radius,
)
from lsp_core.evaluation import Entry, Evaluation
from lsp_core.evaluation import evaluate as run_evaluation
from lsp_core.evaluation.entry import identity
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.evaluation.records import Evaluations, add_evaluations, read_evaluations
from lsp_core.radius import show_eps
from lsp_core.store.provenance import today, versions
from lsp_core.types import Attack, Record


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="NAME.safetensors")],
    attacks: Annotated[
        str, typer.Option(help=f"Comma-separated: {names(ATTACKS)}. Joined by + the worst of them counts, per image.")
    ] = "fgsm,pgd",
    eps: Annotated[
        str | None, typer.Option(help="Comma-separated radii, 0.1 or 8/255; default: what it was trained for.")
    ] = None,
    norm: Annotated[str, typer.Option(help="Linf or L2.")] = "Linf",
    steps: Steps = None,
    restarts: Restarts = None,
    loss: Loss = None,
    queries: Queries = None,
    source: Source = None,
    n: Annotated[int, typer.Option(help="Test images, drawn by --seed.")] = 1000,
    batch_size: BatchSize = 256,
    workers: Workers = None,
    dataset: Annotated[str | None, typer.Option(help="Another data set or folder than the checkpoint's own.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what --json holds, and go on from there.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Measure clean and robust accuracy on test images, with n and 95 % intervals."""
    if resume and json_path is None:
        raise ValueError("--resume goes on with what --json holds, so it needs --json.")
    check_json(json_path, Evaluations.SCHEMA)
    subject = open_model(checkpoint, dataset, n, seed, device, data_root, download)
    file = EvaluationsFile(json_path, subject, seed, batch_size)
    file.read()
    other = (source.stem, open_other(source, subject, "source")) if source else None
    chosen: Record = {"steps": steps, "restarts": restarts, "loss": loss, "queries": queries, "source": other}
    named = [name.replace(" ", "") for name in attacks.split(",")]
    check_gradient(subject.card, named)
    radii = [radius(part, subject.card, norm) for part in (eps.split(",") if eps is not None else [None])]
    line_up = zip(named * len(radii), parse_attacks(named, radii, norm, seed, **chosen), strict=True)
    entries = []
    for name, attack in line_up:
        before = file.find(attack) if resume else None
        if before is not None:
            console.print(f"{label(attack)} at {show_eps(attack.eps)}: done before")
        entries.append(before or file.add(run(subject, attack, batch_size, workers, file.state).entry(name)))
    title = f"{subject.card.name} on {subject.data.name} test, {norm}, n {len(subject.labels)}"
    console.print(table(entries, title))


@dataclass(frozen=True)
class EvaluationsFile:
    """The JSON file that takes each result as soon as it is there, or none."""

    path: Path | None
    subject: ModelOnImages
    seed: int
    batch_size: int

    @property
    def state(self) -> Path | None:
        """Where a running evaluation keeps what it has done so far."""
        return self.path.with_name(f"{self.path.name}.state") if self.path else None

    def read(self) -> tuple[Entry, ...]:
        """Return what is there of these weights.

        Raises:
            SchemaError: if it is another file, or damaged.
        """
        return read_evaluations(self.path, self.subject.weights) if self.path else ()

    def find(self, attack: Attack) -> Entry | None:
        """Return the result of an attack on these images, if it is there."""
        data = self.subject.data
        wanted = identity(attack, data.name, data.split, self.seed, len(self.subject.labels))
        return next((entry for entry in self.read() if entry.identity == wanted), None)

    def add(self, result: Entry) -> Entry:
        """Write a result down with what it is of, and return it."""
        entry = dataclasses.replace(
            result,
            dataset=self.subject.data.name,
            split=self.subject.data.split,
            seed=self.seed,
            batch_size=self.batch_size,
            device=self.subject.place,
            versions=versions(),
            date=today(),
        )
        if self.path is not None:
            add_evaluations(self.path, self.subject.card, self.subject.weights, [entry])
        return entry


def run(subject: ModelOnImages, attack: Attack, batch_size: int, workers: int | None, state: Path | None) -> Evaluation:
    """Evaluate one attack under a progress bar."""
    with tqdm(total=1, unit="pass", unit_scale=True, leave=False, desc=label(attack)[:40]) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return run_evaluation(
            subject.model,
            subject.images,
            subject.labels,
            attack,
            batch_size,
            workers=workers,
            state=state,
            on_progress=on_progress,
        )


def table(entries: Sequence[Entry], title: str) -> Table:
    """Return a row per entry and, of several attacks, per radius what is right under all of them."""
    found = Table("attack", title=title)
    for column in ("eps", "clean", "robust", "95 % interval", "passes", "s"):
        found.add_column(column, no_wrap=True)
    for entry in entries:
        low, high = entry.robust_interval
        figures = (f"{entry.clean_accuracy:.1%}", f"{entry.robust_accuracy:.1%}", f"{low:.1%} to {high:.1%}")
        who = entry.label if len(entry.fooled_by) == 1 else entry.name
        found.add_row(who, show_eps(entry.eps), *figures, f"{entry.passes:,}", f"{entry.seconds:.1f}")
    for eps in dict.fromkeys(entry.eps for entry in entries):
        rights = [entry.robust_right for entry in entries if entry.eps == eps]
        standing = int(np.logical_and.reduce(rights).sum())
        low, high = wilson_interval(standing, len(rights[0]))
        if len(rights) > 1:
            share = f"{standing / len(rights[0]):.1%}"
            found.add_row("worst of these", show_eps(eps), "", share, f"{low:.1%} to {high:.1%}")
    return found
