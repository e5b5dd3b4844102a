"""The command line: parses, calls the core, prints. Exit status 2 and one sentence on bad input."""

from __future__ import annotations

import dataclasses
import functools
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from lsp_core import records
from lsp_core.attacks import ATTACKS
from lsp_core.checkpoint import Card, list_checkpoints, load_checkpoint, read_card
from lsp_core.data import ImageDataset, Split, load_dataset
from lsp_core.evaluation import Evaluation
from lsp_core.evaluation import evaluate as run_evaluation
from lsp_core.lsp import TERMS, VICINITIES
from lsp_core.models import MODELS
from lsp_core.objectives import OBJECTIVES
from lsp_core.provenance import today, versions
from lsp_core.radius import parse_eps, show_eps
from lsp_core.recipes import recipe
from lsp_core.sources import DATASETS
from lsp_core.training import EpochLog, Trainer
from lsp_core.types import Attack, Record, pick

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(markup=False, emoji=False)  # what is printed may come from a file that nobody vouches for
INTERRUPTED = 130  # typer's exit status after Ctrl-C

Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
DataRoot = Annotated[str | None, typer.Option(help="Where data sets lie; else $LSP_DATA, else data/.")]
JsonPath = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON to this path.")]
Seed = Annotated[int, typer.Option(help="Of every random choice.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set if it is absent.")]


def names(table: Iterable[str]) -> str:
    """Return the names in a table, for a help text."""
    return ", ".join(table)


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help=f"{names(DATASETS)}, or a folder with train/ and test/.")],
    objective: Annotated[str, typer.Option(help=names(OBJECTIVES))] = "standard",
    lsp: Annotated[str | None, typer.Option(help=f"Add LSP with this term: {names(TERMS)}.")] = None,
    weight: Annotated[float | None, typer.Option(help="Weight of the LSP term.")] = None,
    vicinity: Annotated[str | None, typer.Option(help=f"Point of the eps-ball for LSP: {names(VICINITIES)}.")] = None,
    ball: Annotated[str | None, typer.Option(help="Radius of LSP's noise ball, for example 0.3 or 8/255.")] = None,
    model: Annotated[str | None, typer.Option(help=names(MODELS))] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    eps: Annotated[str | None, typer.Option(help="Linf radius to train and validate at, 0.1 or 8/255.")] = None,
    steps: Annotated[int | None, typer.Option(help="PGD steps of adversarial training.")] = None,
    n: Annotated[int | None, typer.Option(help="Use this many training images.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the checkpoints.")] = Path("runs"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Train a classifier, or with --lsp its twin. What is not given comes from the data set's recipe."""
    place = pick_device(device)
    data = load_dataset(dataset, "train", data_root, download=download)
    structure: Record | None = None
    if lsp is not None:
        structure = {"term": lsp, "weight": weight, "vicinity": vicinity, "eps": parse_eps(ball) if ball else None}
    elif (weight, vicinity, ball) != (None, None, None):
        raise ValueError(f"--weight, --vicinity and --ball describe the LSP term: add --lsp, one of {names(TERMS)}.")
    given = {"model": model, "epochs": epochs, "batch_size": batch_size, "lr": lr, "steps": steps, "limit": n}
    config = recipe(data, dataset, objective, structure, **given, eps=parse_eps(eps) if eps else None, seed=seed)
    trainer = Trainer(data, config, out, place, command=f"python -m lsp_core {shlex.join(sys.argv[1:])}")
    if resume and (done := trainer.resume()):
        console.print(f"{config.name}: {done} of {config.epochs} epochs are done")
    with tqdm(total=config.epochs, initial=len(trainer.history), unit="epoch", desc=config.name) as bar:

        def on_epoch(log: EpochLog) -> None:
            bar.update(log.epoch + 1 - bar.n)
            bar.write(
                f"epoch {log.epoch + 1:3d}  loss {log.loss:7.4f}  lsp {log.lsp:8.6f}  "
                f"held-out clean {log.clean_accuracy:6.1%}  "
                f"PGD-10 at {show_eps(config.eps)} {log.robust_accuracy:6.1%}  {log.seconds:.0f} s"
            )

        def on_batch(epoch: int, done: int, batches: int) -> None:
            bar.n = round(epoch + done / batches, 2)
            if done % 10 == 0:
                bar.refresh()

        trainer.run(on_batch, on_epoch)
    best = max(trainer.history, key=lambda log: log.score)
    console.print(f"best epoch {best.epoch + 1}: {trainer.path()}  (last: {trainer.path('.last')})")
    if json_path:
        history = [dataclasses.asdict(log) for log in trainer.history]
        result = {"checkpoint": str(trainer.path()), "config": config.to_record(), "history": history}
        records.write_json(json_path, result)


@app.command()
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
    place = pick_device(device)
    model, card = load_checkpoint(checkpoint, place)
    data = load_dataset(dataset or card.dataset, "test", data_root, download=download)
    check_fit(card, data)
    if n < 1:
        raise ValueError(f"n is {n}, but it must be 1 or more.")
    if norm == "L2" and eps is None:
        raise ValueError("eps is missing: the model was trained for a Linf radius, which says nothing about L2.")
    if json_path and json_path.exists():
        records.read_records(json_path)  # before hours of work, not after
    radii = eps.split(",") if eps else [str(card.config.get("eps", 8 / 255))]
    chosen = {"norm": norm, "loss": loss, "steps": steps, "restarts": restarts, "seed": seed}
    line_up = [
        make_attack(name.strip(), eps=parse_eps(radius), **chosen) for name in attacks.split(",") for radius in radii
    ]
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    images = data.float(rows).to(place).contiguous(memory_format=torch.channels_last)
    labels, model = data.labels[rows].to(place), model.to(memory_format=torch.channels_last)
    title = f"{card.name} on {data.name} test"
    table = Table("attack", "eps", "clean", "robust", "95 % interval", "n", "s", title=title)
    entries: list[Record] = []
    with tqdm(total=len(rows) * len(line_up), unit="image", leave=False) as bar:
        for attack in line_up:
            report = functools.partial(lambda before, done, _: bar.update(before + done - bar.n), bar.n)
            result = run_evaluation(model, images, labels, attack, batch_size, on_progress=report)
            table.add_row(*cells(result))
            about = {"dataset": data.name, "split": data.split, "seed": seed, "device": place}
            entries.append({**about, **result.to_record(), "versions": versions(), "date": today()})
    console.print(table)
    if json_path:
        records.write_records(json_path, card.name, records.sha256(checkpoint), entries)


@app.command()
def info(
    what: Annotated[str, typer.Argument(help="A checkpoint, a folder of checkpoints, or a data set.")] = "checkpoints",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Show the card of a checkpoint, the checkpoints in a folder, or what a data set holds."""
    path = Path(what)
    if path.suffix == ".safetensors":
        card = read_card(path)
        record: Record = {**dataclasses.asdict(card), "sha256": records.sha256(path)}
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
        record["classes"] = splits[0].classes
    table = Table("", "", title=what, show_header=False)
    for key, value in record.items():
        shown = {k: v for k, v in value.items() if k != "history"} if isinstance(value, dict) else value
        table.add_row(key, str(shown))
    console.print(table)
    if json_path:
        records.write_json(json_path, record)


def check_fit(card: Card, data: ImageDataset) -> None:
    """Refuse a data set whose images or classes are not those of the model.

    Raises:
        ValueError: saying what differs.
    """
    if data.image_shape != card.image_shape:
        raise ValueError(f"{card.name} takes images of {card.image_shape}, but {data.name} has {data.image_shape}.")
    if data.classes != card.classes:
        raise ValueError(f"{card.name} was trained on other classes than those of {data.name}.")


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


def pick_device(name: str) -> str:
    """Turn "auto" into "cuda" or "cpu".

    Raises:
        ValueError: if the device is unknown or not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}: choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but torch finds no GPU here: choose cpu or auto.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def main() -> None:
    """Run the command line; bad input ends it with one sentence and status 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo("Interrupted: what was finished is kept; a training goes on with --resume.", err=True)
        raise
