"""What a training step costs: with LSP and without, and beside the forward and backward pass alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional

from lsp_core.bench.pair import Extent, ModelPair
from lsp_core.bench.timing import Arm, Measurement, race
from lsp_core.training import Trainer
from lsp_core.training.recipes import recipe

MIDWAY = 0.5  # of the training: every warm-up is over
REPEAT = {"standard": 10, "pgd-at": 3}  # steps in one run
LIMIT = {"standard": 1.6, "pgd-at": 1.1}  # of the time without LSP; crafting is most of a step, and LSP adds none


def training_steps(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Time the training loop's own step, with the recipe's settings, for both objectives."""
    for objective, repeat in REPEAT.items():
        twins = {name: _trainer(pair, objective, name == "lsp", extent.device) for name in ("lsp", "base")}
        arms = {name: _step(trainer) for name, trainer in twins.items()} | {"bare": _bare(twins["base"])}
        timings = race(arms, extent.runs, repeat=repeat, device=extent.device)
        config = twins["base"].config
        lsp = twins["lsp"].config.lsp
        assert lsp is not None
        title = f"step of {pair.dataset} {objective}, batch of {config.batch_size}, {config.precision}"
        what, limit = f"{title}, with LSP on {lsp.share:.0%} of the images", LIMIT[objective]
        yield Measurement("training", what, "the same without LSP", timings["lsp"], timings["base"], limit=limit)
        yield Measurement(
            "training", f"{title}, without LSP", "bare forward and backward", timings["base"], timings["bare"]
        )


def _trainer(pair: ModelPair, objective: str, lsp: bool, device: str) -> Trainer:
    like = recipe(pair.train, pair.dataset, objective, None)
    few = min(len(pair.train), like.held_out + 4 * like.batch_size)  # one batch is all that is looked at
    config = recipe(pair.train, pair.dataset, objective, {} if lsp else None, limit=few)
    trainer = Trainer(pair.train, config, Path(), device)  # writes nothing until it runs
    trainer.model.train()
    return trainer


def _step(trainer: Trainer) -> Arm:
    rows = torch.arange(trainer.config.batch_size, device=trainer.device)
    return lambda: trainer._step(rows, MIDWAY)


def _bare(trainer: Trainer) -> Arm:
    """Return the pass that no step can do without: the batch through the model, and back to its weights."""
    rows = torch.arange(trainer.config.batch_size, device=trainer.device)
    images = trainer.train_set.float(rows).contiguous(memory_format=torch.channels_last)
    labels, model = trainer.train_set.labels[rows], trainer.model

    def bare() -> None:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=trainer.config.precision == "bfloat16"):
            logits = model(images)
        model.zero_grad(set_to_none=True)
        functional.cross_entropy(logits.float(), labels).backward()

    return bare
