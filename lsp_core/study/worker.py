"""Does a run: trains it, attacks it, and writes each part down as soon as it is there."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from lsp_core.attacks import PGD
from lsp_core.attacks.named import parse_attack
from lsp_core.checkpoint import load_checkpoint
from lsp_core.data import ImageDataset, Split
from lsp_core.evaluation import evaluate
from lsp_core.passes import OnProgress
from lsp_core.provenance import machine
from lsp_core.recipes import TrainConfig, recipe
from lsp_core.records import sha256
from lsp_core.study.preservation import preservation
from lsp_core.study.preset import Run
from lsp_core.study.result import Result, missing
from lsp_core.training import OnBatch, Trainer
from lsp_core.types import Attack, Record

CURVE = (0.25, 0.5, 1.0, 1.5, 2.0)  # radii, as multiples of the one that was trained for
CURVE_N, NEIGHBORS_N = 500, 500  # images, of the n that the preset asks for
IMAGES_SEED = 0  # every run sees the same test images: the differences between runs are paired
BATCH = {"autoattack": 1000}  # the library has batches of its own


@dataclass(frozen=True)
class Worker:
    """What all runs of a study share.

    Attributes:
        results: folder of the JSON files.
        work: folder of the checkpoints, one folder a run.
        load: gives a split of a data set by its name.
        command: how a person repeats this, for the card.
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

    def do(self, run: Run) -> Record:
        """Do what is missing of a run, and return all that is known of it.

        Raises:
            ValueError: if its file is of other settings, or no result.
        """
        result, config = Result.of(run, self.results), self.config(run)
        record = result.begin(run, config, machine(self.device))
        if not missing(record, run):
            return record
        best, last, training = self._train(run, config)
        if record.get("sha256") != (digest := sha256(best)):
            # New weights, or a checkpoint that was lost and trained again: what was measured of others says nothing.
            record = {**result.head(record), "sha256": digest}
        record["training"] = training
        result.write(record)
        for part in missing(record, run):
            self._say(run, part)
            if part in run.attacks:
                attack = parse_attack(part, config.eps, seed=run.seed)
                entry = {"name": part, **self._attack(run, best, attack, run.n, BATCH.get(part, 256))}
                record["evaluations"] = [*record.get("evaluations", []), entry]
            elif part == "last":
                record[part] = self._attack(run, last, parse_attack(run.attacks[0], config.eps, seed=run.seed), run.n)
            elif part == "curve":
                attacks = [PGD(factor * config.eps, steps=20, seed=run.seed) for factor in CURVE]
                record[part] = [self._attack(run, best, attack, min(run.n, CURVE_N)) for attack in attacks]
            else:
                record[part] = self._preserve(run, best, config.eps, unit_length=part == "directions")
            result.write(record)
        shutil.rmtree(self._states(run), ignore_errors=True)
        return record

    def _train(self, run: Run, config: TrainConfig) -> tuple[Path, Path, Record]:
        """Train, or go on, or find that it is done; return both checkpoints and what the card does not say."""
        self._say(run, "training")
        trainer = Trainer(self.load(run.dataset, "train"), config, self.work / run.id, self.device, self.command)
        trainer.resume()
        history = trainer.run(self.on_batch)
        best = max(history, key=lambda log: log.score)
        seconds = statistics.median(log.seconds for log in history)
        training = {
            "epoch": best.epoch + 1,
            "epochs": len(history),
            "seconds_per_epoch": seconds,
            "held_out": {"clean_accuracy": best.clean_accuracy, "robust_accuracy": best.robust_accuracy},
        }
        return trainer.path(), trainer.path(".last"), training

    def _attack(self, run: Run, checkpoint: Path, attack: Attack, n: int, batch_size: int = 256) -> Record:
        model = load_checkpoint(checkpoint, self.device)[0].to(memory_format=torch.channels_last)
        images, labels = self._test_images(run, n)
        self._states(run).mkdir(parents=True, exist_ok=True)
        state = self._states(run) / "evaluation.state"
        return evaluate(
            model, images, labels, attack, batch_size, state=state, on_progress=self.on_progress
        ).to_record()

    def _preserve(self, run: Run, checkpoint: Path, eps: float, *, unit_length: bool) -> Record:
        model = load_checkpoint(checkpoint, self.device)[0].to(memory_format=torch.channels_last)
        images, labels = self._test_images(run, min(run.n, NEIGHBORS_N))
        attack = PGD(eps, steps=20, early_stop=False, seed=run.seed)  # all steps, for every model alike
        batches = zip(images.split(256), labels.split(256), strict=True)
        adversarial = torch.cat([attack(model, batch, classes) for batch, classes in batches])
        return preservation(model, images, adversarial, unit_length=unit_length)

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
