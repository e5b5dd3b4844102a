"""``evaluate``: accuracies under attack, as a table and as JSON."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from tqdm import tqdm

from lsp_core import records
from lsp_core.attacks import ATTACKS
from lsp_core.commands.options import DataRoot, Device, Download, JsonPath, Seed, console, names, open_subject
from lsp_core.evaluation import Evaluation
from lsp_core.evaluation import evaluate as run_evaluation
from lsp_core.provenance import today, versions
from lsp_core.radius import parse_eps, show_eps
from lsp_core.types import Attack, Record, pick


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="NAME.safetensors")],
    attacks: Annotated[str, typer.Option(help=f"Comma-separated: {names(ATTACKS)}.")] = "fgsm,pgd",
    eps: Annotated[
        str | None, typer.Option(help="Comma-separated radii, 0.1 or 8/255; default: what it was trained for.")
    ] = None,
    norm: Annotated[str, typer.Option(help="Linf or L2.")] = "Linf",
    steps: Annotated[int, typer.Option(help="PGD steps; each is 2.5 eps / steps long.")] = 20,
    restarts: Annotated[int, typer.Option(help="PGD restarts; the worst counts, per image.")] = 1,
    loss: Annotated[str, typer.Option(help="What the attack climbs: ce, margin or dlr.")] = "ce",
    n: Annotated[int, typer.Option(help="Test images, drawn by --seed.")] = 1000,
    batch_size: Annotated[int, typer.Option(help="Images at once.")] = 256,
    dataset: Annotated[str | None, typer.Option(help="Another data set or folder than the checkpoint's own.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Measure clean and robust accuracy on test images, with n and 95 % intervals."""
    subject = open_subject(checkpoint, dataset, n, seed, device, data_root, download)
    model, card, data, images, labels = subject.model, subject.card, subject.data, subject.images, subject.labels
    if norm == "L2" and eps is None:
        raise ValueError("eps is missing: the model was trained for a Linf radius, which says nothing about L2.")
    if json_path and json_path.exists():
        records.read_records(json_path)  # before hours of work, not after
    radii = eps.split(",") if eps else [str(card.config.get("eps", 8 / 255))]
    chosen = {"norm": norm, "loss": loss, "steps": steps, "restarts": restarts, "seed": seed}
    line_up = [
        make_attack(name.strip(), eps=parse_eps(radius), **chosen) for name in attacks.split(",") for radius in radii
    ]
    title = f"{card.name} on {data.name} test"
    table = Table("attack", "eps", "clean", "robust", "95 % interval", "n", "s", title=title)
    entries: list[Record] = []
    with tqdm(total=len(labels) * len(line_up), unit="image", leave=False) as bar:
        for attack in line_up:
            report = functools.partial(lambda before, done, _: bar.update(before + done - bar.n), bar.n)
            result = run_evaluation(model, images, labels, attack, batch_size, on_progress=report)
            table.add_row(*cells(result))
            about = {"dataset": data.name, "split": data.split, "seed": seed, "device": images.device.type}
            entries.append({**about, **result.to_record(), "versions": versions(), "date": today()})
    console.print(table)
    if json_path:
        records.write_records(json_path, card.name, records.sha256(checkpoint), entries)


def make_attack(name: str, **settings: Any) -> Attack:
    """Build an attack from those settings that it has.

    Raises:
        ValueError: if the name is unknown, or a setting cannot be meant.
    """
    kind = pick("attack", name, ATTACKS)
    known = {field.name for field in dataclasses.fields(kind)}
    attack: Attack = kind(**{key: value for key, value in settings.items() if key in known})
    return attack


def cells(result: Evaluation) -> list[str]:
    """Write an evaluation as a row of the table."""
    attack, (low, high) = result.attack, result.robust_interval
    steps = f"-{attack.steps}" if hasattr(attack, "steps") else ""
    return [
        f"{type(attack).__name__}{steps} {attack.norm}",
        show_eps(attack.eps),
        f"{result.clean_accuracy:.1%}",
        f"{result.robust_accuracy:.1%}",
        f"{low:.1%} to {high:.1%}",
        str(result.n),
        f"{result.seconds:.1f}",
    ]
