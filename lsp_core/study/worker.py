"""Does a run: trains it, attacks it, and writes each part down as soon as it is there."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lsp_core.data import ImageDataset, Split
from lsp_core.evaluation import Evaluation, evaluate
from lsp_core.evaluation.craft import craft
from lsp_core.evaluation.entry import Entry
from lsp_core.evaluation.passes import OnProgress
from lsp_core.store.checkpoint import checkpoint_weights, load_checkpoint
from lsp_core.store.provenance import Machine
from lsp_core.study.agenda import CURVE_BY, Agenda
from lsp_core.study.grid import Run
from lsp_core.study.preservation import preservation
from lsp_core.study.result import Result, Trained, read_result, result_path
from lsp_core.training import OnBatch, OnEpoch, TrainConfig, Trainer, recipe
from lsp_core.types import Attack, Classifier

IMAGES_SEED = 0  # every run sees the same test images: the differences between runs are paired
BATCH = 250  # a cut loses the batch that was under way


@dataclass(frozen=True)
class Worker:
    """What all runs of a study share.

    Attributes:
        results: folder of the JSON files.
        work: folder of the checkpoints, one folder a run.
        load: gives a split of a data set by its name.
        command: how a person repeats the study; the card has it with the run's own name behind ``--only``.
        workers: batches side by side when a model is attacked, a core each; None is all cores. No figure depends on it.
        on_part: hears the run and the part that begins; what a callback raises ends the study, and what is done stays.
    """

    results: Path
    work: Path
    load: Callable[[str, Split], ImageDataset]
    device: str = "cpu"
    command: str = ""
    workers: int | None = None
    on_part: Callable[[Run, str], None] | None = None
    on_batch: OnBatch | None = None
    on_epoch: OnEpoch | None = None
    on_progress: OnProgress | None = None

    def check(self, run: Run) -> tuple[TrainConfig, Agenda, Result]:
        """Return how a run trains, what it asks to be measured, and what is known of it so far.

        A precision left to the machine is settled by what is known of it, else left to the trainer.

        Raises:
            ValueError: if one of these cannot be meant, or its file is damaged or of other settings; hours of work
                are not thrown away unasked.
        """
        settings = {key: value for key, value in run.settings.items() if key != "lsp"}
        train, test = self.load(run.dataset, "train"), self.load(run.dataset, "test")
        config = recipe(train, run.dataset, run.objective, run.settings.get("lsp"), **settings, seed=run.seed)
        agenda = Agenda.of(run, config.eps, len(test))
        known = read_result(run, self.results)
        if known is None:
            return config, agenda, Result.begin(run, config.on(self.device), Machine.of(self.device))
        begun = TrainConfig.from_record(known.config)
        if begun.essential != config.as_begun(begun).essential:
            raise ValueError(
                f"{result_path(run, self.results)} was made with other settings than {run.id} has now: remove the file "
                "to run it again."
            )
        return begun, agenda, known

    def do(self, run: Run) -> Result:
        """Do what is missing of a run, and return all that is known of it.

        Raises:
            ValueError: as ``check``, if the file holds figures of other weights, or if the training diverges.
        """
        config, agenda, known = self.check(run)
        if not agenda.missing(known):
            return known
        trainer = self._trained(run, config)
        best, last = trainer.path(), trainer.path(".last")
        machine = Machine.of(self.device)
        known = known.trained(trainer.config, Trained.of(trainer.history), checkpoint_weights(best), machine)
        known.write(result_path(run, self.results))
        for part in agenda.missing(known):
            self._say(run, part)
            known = self._measured(run, part, agenda, known, best, last)
            known.write(result_path(run, self.results))
        shutil.rmtree(self._states(run), ignore_errors=True)
        return known

    def _trained(self, run: Run, config: TrainConfig) -> Trainer:
        """Train, or go on, or find that it is done."""
        self._say(run, "training")
        command = f"{self.command} --only {shlex.quote(run.id)}" if self.command else ""
        trainer = Trainer(self.load(run.dataset, "train"), config, self.work / run.id, self.device, command)
        trainer.resume()
        trainer.run(self.on_batch, self.on_epoch)
        return trainer

    def _measured(self, run: Run, part: str, agenda: Agenda, known: Result, best: Path, last: Path) -> Result:
        """Return what is known, with one more part of the agenda."""
        here = Machine.of(self.device)
        elsewhere = here if here.name != known.machine.name else None

        def under(name: str, attack: Attack, checkpoint: Path, n: int) -> Entry:
            return replace(self._attack(run, checkpoint, attack, n).entry(name), machine=elsewhere)

        if part == "last":
            return replace(known, last=under(agenda.first, agenda.attacks[agenda.first], last, agenda.n))
        if part == "curve":
            known = replace(known, curve=agenda.curve_so_far(known))
            for attack in agenda.curve[len(known.curve) :]:
                known = replace(known, curve=(*known.curve, under(CURVE_BY, attack, best, agenda.few)))
                known.write(result_path(run, self.results))  # a cut loses the radius that was under way
            return known
        if part == "neighbours":
            crafted = self._craft(run, best, agenda)
            embedding, directions = (
                replace(preservation(*crafted, unit_length=unit), machine=elsewhere) for unit in (False, True)
            )
            return replace(known, preservation=embedding, directions=directions)
        return known.with_entry(under(part, agenda.attacks[part], best, agenda.n))

    def _attack(self, run: Run, checkpoint: Path, attack: Attack, n: int) -> Evaluation:
        model, images, labels = self._subject(run, checkpoint, n)
        self._states(run).mkdir(parents=True, exist_ok=True)
        state = self._states(run) / "evaluation.state"
        return evaluate(
            model, images, labels, attack, BATCH, workers=self.workers, state=state, on_progress=self.on_progress
        )

    def _craft(self, run: Run, checkpoint: Path, agenda: Agenda) -> tuple[Classifier, Tensor, Tensor]:
        """Return a model, images, and what becomes of them under attack."""
        model, images, labels = self._subject(run, checkpoint, agenda.few)
        return model, images, craft(agenda.crafting, model, images, labels, BATCH, self.workers)

    def _subject(self, run: Run, checkpoint: Path, n: int) -> tuple[Classifier, Tensor, Tensor]:
        """Return the model of a checkpoint, and the first n test images with their labels."""
        model = load_checkpoint(checkpoint, self.device)[0].to(memory_format=torch.channels_last)
        data = self.load(run.dataset, "test")
        rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(IMAGES_SEED))[:n]
        images = data.float(rows).to(self.device).contiguous(memory_format=torch.channels_last)
        return model, images, data.labels[rows].to(self.device)

    def _say(self, run: Run, part: str) -> None:
        if self.on_part is not None:
            self.on_part(run, part)

    def _states(self, run: Run) -> Path:
        return self.work / run.id / "states"
