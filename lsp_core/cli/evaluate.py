"""``evaluate``: accuracies under attack, as a table and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from lsp_core.attacks import Ensemble
from lsp_core.attacks.describe import label, settings
from lsp_core.attacks.table import ATTACKS, parse_attacks
from lsp_core.cli.options import (
    DataRoot,
    Device,
    Download,
    JsonPath,
    Seed,
    Subject,
    console,
    names,
    open_subject,
    trained_eps,
)
from lsp_core.evaluation import Evaluation, records
from lsp_core.evaluation import evaluate as run_evaluation
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.radius import parse_eps, show_eps
from lsp_core.store.checkpoint import load_checkpoint
from lsp_core.store.files import sha256
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
    steps: Annotated[int | None, typer.Option(help="Of PGD (20, each 2.5 eps / steps long) and APGD (100).")] = None,
    restarts: Annotated[
        int | None, typer.Option(help="Restarts of PGD and APGD (1); the worst counts, per image.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="What PGD and FGSM climb: ce, margin, dlr; PGD also kl.")] = None,
    queries: Annotated[int | None, typer.Option(help="Queries of Square (5000).")] = None,
    source: Annotated[Path | None, typer.Option(help="For transfer: the checkpoint that PGD attacks instead.")] = None,
    n: Annotated[int, typer.Option(help="Test images, drawn by --seed.")] = 1000,
    batch_size: Annotated[int, typer.Option(help="Images at once.")] = 256,
    dataset: Annotated[str | None, typer.Option(help="Another data set or folder than the checkpoint's own.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what --json holds, and go on from there.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Measure clean and robust accuracy on test images, with n and 95 % intervals."""
    subject = open_subject(checkpoint, dataset, n, seed, device, data_root, download)
    if resume and json_path is None:
        raise ValueError("--resume goes on with what --json holds, so it needs --json.")
    if json_path and json_path.exists():
        records.read_records(json_path)  # before hours of work, not after
    chosen: Record = {"steps": steps, "restarts": restarts, "loss": loss, "queries": queries}
    named = [name.strip() for name in attacks.split(",")]
    if source is not None:
        chosen["source"] = source.stem, load_checkpoint(source, subject.images.device)[0]
    radii = [parse_eps(part) for part in eps.split(",")] if eps else [trained_eps(subject.card, norm)]
    line_up = zip(named * len(radii), parse_attacks(named, radii, norm, seed, **chosen), strict=True)
    shelf = Shelf(json_path, subject, sha256(checkpoint), seed, batch_size)
    table = Table("attack", title=f"{subject.card.name} on {subject.data.name} test, {norm}, n {len(subject.labels)}")
    for column in ("eps", "clean", "robust", "95 % interval", "passes", "s"):
        table.add_column(column, no_wrap=True)
    standing: dict[float, Tensor] = {}
    for name, attack in line_up:
        if resume and shelf.holds(attack):
            console.print(f"{label(attack)} at {show_eps(attack.eps)}: done before")
            continue
        result = run(subject, attack, batch_size, shelf.state)
        table.add_row(name if isinstance(attack, Ensemble) else label(attack), *cells(result))
        standing[attack.eps] = result.robust_correct & standing.get(attack.eps, result.robust_correct)
        shelf.add(name, result)
    for radius, robust in standing.items() if "," in attacks else ():
        low, high = wilson_interval(int(robust.sum()), len(robust))
        share = f"{robust.float().mean():.1%}"
        table.add_row("worst of these", show_eps(radius), "", share, f"{low:.1%} to {high:.1%}")
    console.print(table)


@dataclass(frozen=True)
class Shelf:
    """The JSON file that takes each result as soon as it is there, or none."""

    path: Path | None
    subject: Subject
    digest: str
    seed: int
    batch_size: int

    @property
    def state(self) -> Path | None:
        """Where a running evaluation keeps what it has done so far."""
        return self.path.with_name(f"{self.path.name}.state") if self.path else None

    def holds(self, attack: Attack) -> bool:
        """Whether the result of an attack is there."""
        own = {"attack": type(attack).__name__, "norm": attack.norm, "settings": settings(attack)}
        return self.path is not None and records.done(self.path, self.digest, {**self._images(), **own})

    def add(self, name: str, result: Evaluation) -> None:
        """Write a result down."""
        if self.path is not None:
            made = {"batch_size": self.batch_size, "device": self.subject.images.device.type, "versions": versions()}
            entry = {**self._images(), **result.to_record(name), **made, "date": today()}
            records.write_records(self.path, self.subject.card, self.digest, [entry])

    def _images(self) -> Record:
        data = self.subject.data
        return {"dataset": data.name, "split": data.split, "seed": self.seed, "n": len(self.subject.labels)}


def run(subject: Subject, attack: Attack, batch_size: int, state: Path | None) -> Evaluation:
    """Evaluate one attack under a progress bar."""
    with tqdm(total=1, unit="pass", unit_scale=True, leave=False, desc=label(attack)[:40]) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return run_evaluation(
            subject.model, subject.images, subject.labels, attack, batch_size, state=state, on_progress=on_progress
        )


def cells(result: Evaluation) -> list[str]:
    """Write an evaluation as the figures of a row."""
    low, high = result.robust_interval
    return [
        show_eps(result.attack.eps),
        f"{result.clean_accuracy:.1%}",
        f"{result.robust_accuracy:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"{result.forward_passes + result.backward_passes:,}",
        f"{result.seconds:.1f}",
    ]
