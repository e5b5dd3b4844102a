"""Does a run: trains it, attacks it, and writes each part down as soon as it is there."""

from __future__ import annotations

import functools
import shlex
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from lsp_core.data import ImageDataset, Split
from lsp_core.evaluation import evaluate
from lsp_core.evaluation.passes import OnProgress
from lsp_core.store.checkpoint import load_checkpoint
from lsp_core.store.provenance import machine
from lsp_core.study.plan import Plan
from lsp_core.study.preservation import preservation
from lsp_core.study.preset import Run
from lsp_core.study.result import Result
from lsp_core.training import OnBatch, Trainer
from lsp_core.training.recipes import TrainConfig, recipe
from lsp_core.types import Attack, Classifier, Record

IMAGES_SEED = 0  # every run sees the same test images: the differences between runs are paired
BATCH = {"autoattack": 250}  # a cut loses the batch that was under way


@dataclass(frozen=True)
class Worker:
    """What all runs of a study share.

    Attributes:
        results: folder of the JSON files.
        work: folder of the checkpoints, one folder a run.
        load: gives a split of a data set by its name.
        command: how a person repeats the study; the card has it with the run's own name behind ``--only``.
        on_part: hears the run and the part that begins; what a callback raises ends the study, and what is done stays.
    """

    results: Path
    work: Path
    load: Callable[[str, Split], ImageDataset]
    device: str = "cpu"
    command: str = ""
    on_part: Callable[[Run, str], None] | None = None
    on_batch: OnBatch | None = None
    on_progress: OnProgress | None = None

    def config(self, run: Run) -> TrainConfig:
        """Return the configuration of a run: the recipe, with what its variant changes."""
        settings = {key: value for key, value in run.settings.items() if key != "lsp"}
        data = self.load(run.dataset, "train")
        return recipe(data, run.dataset, run.objective, run.settings.get("lsp"), **settings, seed=run.seed)

    def check(self, run: Run) -> tuple[TrainConfig, Plan, Record]:
        """Return how a run trains, what it asks to be measured, and what is known of it so far.

        Raises:
            ValueError: if one of these cannot be meant, or its file is damaged or of other settings.
        """
        config = self.config(run)
        plan = Plan.of(run, config.eps, len(self.load(run.dataset, "test")))
        return config, plan, Result.of(run, self.results).begin(run, config, machine(self.device))

    def do(self, run: Run) -> Record:
        """Do what is missing of a run, and return all that is known of it.

        Raises:
            ValueError: as ``check``, if the file holds figures of other weights, or if the training diverges.
        """
        config, plan, record = self.check(run)
        if not plan.missing(record):
            return record
        best, last, training = self._train(run, config)
        result, here = Result.of(run, self.results), machine(self.device)
        record = result.trained(record, best, training, here)
        result.write(record)
        own = {} if _place(here) == _place(record["machine"]) else {"machine": here}
        crafted = functools.cache(lambda: self._craft(run, best, plan))
        for part in plan.missing(record):
            self._say(run, part)
            if part in plan.attacks:
                found = self._attack(run, best, plan.attacks[part], plan.n, BATCH.get(part, 256))
                others = [entry for entry in record.get("evaluations", []) if entry["name"] != part]
                record["evaluations"] = [*others, {**found, "name": part, **own}]
            elif part == "last":
                record[part] = {**self._attack(run, last, plan.first, plan.n), **own}
            elif part == "curve":
                record[part] = [{**self._attack(run, best, attack, plan.few), **own} for attack in plan.curve]
            else:
                record[part] = {**preservation(*crafted(), unit_length=part == "directions"), **own}
            result.write(record)
        shutil.rmtree(self._states(run), ignore_errors=True)
        return record

    def _train(self, run: Run, config: TrainConfig) -> tuple[Path, Path, Record]:
        """Train, or go on, or find that it is done; return both checkpoints and what the card does not say."""
        self._say(run, "training")
        command = f"{self.command} --only {shlex.quote(run.id)}" if self.command else ""
        trainer = Trainer(self.load(run.dataset, "train"), config, self.work / run.id, self.device, command)
        trainer.resume()
        history = trainer.run(self.on_batch)
        best = max(history, key=lambda log: log.score)
        seconds = statistics.median(log.seconds for log in history)
        training = {
            "epoch": best.epoch + 1,
            "epochs": len(history),
            "seconds_per_epoch": round(seconds, 4),
            "held_out": {"clean_accuracy": best.clean_accuracy, "robust_accuracy": best.robust_accuracy},
        }
        return trainer.path(), trainer.path(".last"), training

    def _attack(self, run: Run, checkpoint: Path, attack: Attack, n: int, batch_size: int = 256) -> Record:
        model = load_checkpoint(checkpoint, self.device)[0].to(memory_format=torch.channels_last)
        images, labels = self._test_images(run, n)
        self._states(run).mkdir(parents=True, exist_ok=True)
        state = self._states(run) / "evaluation.state"
        return (
            evaluate(model, images, labels, attack, batch_size, state=state, on_progress=self.on_progress)
            .entry()
            .to_record()
        )

    def _craft(self, run: Run, checkpoint: Path, plan: Plan) -> tuple[Classifier, torch.Tensor, torch.Tensor]:
        """Return a model, images, and what becomes of them under attack."""
        model = load_checkpoint(checkpoint, self.device)[0].to(memory_format=torch.channels_last)
        images, labels = self._test_images(run, plan.few)
        batches = zip(images.split(256), labels.split(256), strict=True)
        return model, images, torch.cat([plan.crafting(model, batch, classes) for batch, classes in batches])

    def _test_images(self, run: Run, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        data = self.load(run.dataset, "test")
        rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(IMAGES_SEED))[:n]
        images = data.float(rows).to(self.device).contiguous(memory_format=torch.channels_last)
        return images, data.labels[rows].to(self.device)

    def _say(self, run: Run, part: str) -> None:
        if self.on_part is not None:
            self.on_part(run, part)

    def _states(self, run: Run) -> Path:
        return self.work / run.id / "states"


def _place(machine: Record) -> Record:
    return {key: value for key, value in machine.items() if key != "date"}
