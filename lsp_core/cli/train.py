"""``train``: a checkpoint, or its LSP twin."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from lsp_core.cli.console import console
from lsp_core.cli.options import (
    DataRoot,
    Device,
    Download,
    JsonPath,
    Seed,
    check_folder,
    check_json,
    names,
)
from lsp_core.data import DATASETS, load_dataset
from lsp_core.device import pick_device
from lsp_core.lsp import NEIGHBOR_TERMS, TERMS, VICINITIES
from lsp_core.models import MODELS
from lsp_core.radius import parse_eps, show_eps
from lsp_core.store.files import write_json
from lsp_core.training import OBJECTIVES, EpochLog, Trainer, recipe
from lsp_core.training.log import validation_attack
from lsp_core.types import Record

RECIPE = "recipe"  # LSP as the recipe has it


def train(
    dataset: Annotated[str, typer.Argument(help=f"{names(DATASETS)}, or a folder with train/ and test/.")],
    objective: Annotated[str, typer.Option(help=names(OBJECTIVES))] = "standard",
    lsp: Annotated[
        str | None,
        typer.Option(
            help=f"Add LSP: {RECIPE}, or with terms of your own, ball+neighbours, for example "
            "vicinity+correlation; the recipe has the one that is not named. "
            f"Of the ball: {names(TERMS)}, none; of the neighbours: {names(NEIGHBOR_TERMS)}, none."
        ),
    ] = None,
    weight: Annotated[float | None, typer.Option(help="Weight of LSP.")] = None,
    neighbors_weight: Annotated[
        float | None, typer.Option(help="What the neighbours' part of LSP counts beside the ball's.")
    ] = None,
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
    check_json(json_path)
    check_folder("out", out)
    place = pick_device(device)
    data = load_dataset(dataset, "train", data_root, download=download)
    structure: Record | None = None
    if lsp is not None:
        radius = parse_eps(ball) if ball is not None else None
        numbers = {"weight": weight, "neighbors_weight": neighbors_weight, "eps": radius}
        structure = {**_terms(lsp), **numbers, "vicinity": vicinity}
    elif (weight, neighbors_weight, vicinity, ball) != (None, None, None, None):
        raise ValueError(f"--weight, --neighbors-weight, --vicinity and --ball describe LSP: add --lsp {RECIPE}.")
    given: Record = {"model": model, "epochs": epochs, "batch_size": batch_size, "lr": lr, "steps": steps, "limit": n}
    given["eps"] = parse_eps(eps) if eps is not None else None
    config = recipe(data, dataset, objective, structure, **given, seed=seed)
    trainer = Trainer(data, config, out, place, command=f"python -m lsp_core {shlex.join(sys.argv[1:])}")
    if resume:
        _go_back(trainer)
    _run(trainer)
    best = max(trainer.history, key=lambda log: log.score)
    console.print(f"best epoch {best.epoch + 1}: {trainer.path()}  (last: {trainer.path('.last')})")
    if json_path:
        history = [dataclasses.asdict(log) for log in trainer.history]
        result = {"checkpoint": str(trainer.path()), "config": trainer.config.to_record(), "history": history}
        write_json(json_path, result)


def _terms(lsp: str) -> Record:
    """Return the terms that ``--lsp`` names: one of each part, or of one part, whose terms have it.

    >>> _terms("vicinity+distribution"), _terms("none+correlation")
    ({'ball': 'vicinity', 'neighbors': 'distribution'}, {'ball': 'none', 'neighbors': 'correlation'})
    >>> _terms("vicinity"), _terms("correlation"), _terms("recipe")
    ({'ball': 'vicinity'}, {'neighbors': 'correlation'}, {})
    """
    if lsp == RECIPE:
        return {}
    first, plus, second = lsp.partition("+")
    if plus:
        return {"ball": first, "neighbors": second}
    return {"neighbors" if first in NEIGHBOR_TERMS else "ball": first}


def _go_back(trainer: Trainer) -> None:
    """Go back to where an earlier run was cut off, if there was one, and say so."""
    if not (done := trainer.resume()):
        return
    config, here = trainer.config, trainer.asked.on(trainer.device).precision
    console.print(f"{config.name}: {done} of {config.epochs} epochs are done, in {config.precision}")
    if done < config.epochs and config.precision != here:
        console.print(
            f"It goes on as it was begun; this machine is faster in {here}: "
            f"remove {trainer.path('.resume')} to begin anew."
        )


def _run(trainer: Trainer) -> None:
    """Train to the end, with a progress bar and a line for each epoch."""
    config = trainer.config
    attack = f"PGD-{validation_attack(config).steps} at {show_eps(config.eps)}"
    with tqdm(total=config.epochs, initial=len(trainer.history), unit="epoch", desc=config.name) as bar:

        def on_epoch(log: EpochLog) -> None:
            bar.update(log.epoch + 1 - bar.n)
            bar.write(
                f"epoch {log.epoch + 1:3d}  loss {log.loss:7.4f}  lsp {log.lsp:8.6f}  held-out clean "
                f"{log.clean_accuracy:6.1%}  {attack} {log.robust_accuracy:6.1%}  {log.seconds:.0f} s"
            )

        def on_batch(epoch: int, done: int, batches: int) -> None:
            bar.n = round(epoch + done / batches, 2)
            if done % 10 == 0:
                bar.refresh()

        trainer.run(on_batch, on_epoch)
