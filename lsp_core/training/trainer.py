"""The training loop: one for every objective, with or without LSP, on CPU or GPU."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from lsp_core.data import ImageDataset
from lsp_core.evaluation import Evaluation, evaluate
from lsp_core.models import build_model
from lsp_core.store.checkpoint import save_checkpoint
from lsp_core.training.augmentation import augment, describe_changes, noise_half
from lsp_core.training.average import weight_average
from lsp_core.training.config import TrainConfig
from lsp_core.training.criterion import Criterion
from lsp_core.training.earlier import finished, refuse_other_data
from lsp_core.training.log import EpochLog, Past, training_card, validation_attack
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.training.partition import Partition
from lsp_core.training.resume import RunState
from lsp_core.types import Classifier, Record

CLIP = 5.0  # largest norm of the gradient of a step
PEAK = 0.2  # share of the training after which the learning rate is highest
OnBatch = Callable[[int, int, int], None]  # epoch, batches done, batches in all
OnEpoch = Callable[[EpochLog], None]


def constants(config: TrainConfig, data: ImageDataset) -> Record:
    """Return what every training has alike or takes from its data, for the card."""
    return {
        "optimizer": "SGD with Nesterov momentum" if config.momentum else "SGD",
        "schedule": f"linear to lr over the first {PEAK:.0%} of the steps, then linear to 0",
        "gradient_clip": CLIP,
        "augmentation": f"{describe_changes(data.changes, *data.image_shape[1:])}, where augment is on",
    }


class Trainer:
    """A training that can be cut off after any epoch and go on with the same result.

    Writes ``NAME.safetensors`` (best epoch), ``NAME.last.safetensors`` and, until done, ``NAME.resume.safetensors``.

    Attributes:
        asked: the settings as they were given.
        config: those that it runs with. A precision left to the machine is the machine's, or after ``resume`` the one
            that the training was begun in, so that it ends with the same result wherever it goes on.
    """

    def __init__(
        self, data: ImageDataset, config: TrainConfig, folder: str | Path, device: str = "cpu", command: str = ""
    ):
        """Build the model and set the held-out part apart.

        Raises:
            ValueError: if the data set is too small for the configuration, or bears no augmentation that it asks for,
                or if the folder holds a checkpoint of this name of other data.
        """
        if config.augment and not data.changes:
            raise ValueError(f"augment is on, but {data.name} names no random change that keeps a class: leave it off.")
        self.constants = constants(config, data)
        self.asked, config = config, config.on(device)
        parts = Partition.of(data.to(device), config)
        self.config, self.device, self.command, self.parts = config, device, command, parts
        self.train_set, self.held_out = parts.train, parts.held_out
        self.folder = Path(folder)
        refuse_other_data((self.path(), self.path(".last")), config, parts)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            model = build_model(config.model, parts.train.image_shape, len(parts.train.classes), parts.mean, parts.std)
        self.model: Classifier = model.to(device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            config.lr,
            config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.momentum > 0,
        )
        self.generator = torch.Generator(device).manual_seed(config.seed)
        # Of its own, so that twins see the same images in the same order whether or not noise is drawn.
        self.noise = torch.Generator(device).manual_seed(config.seed + 1)
        objective = OBJECTIVES[config.objective](config.steps, config.label_smoothing)
        self._criterion = Criterion(self.model, objective, config, self.generator, self.noise)
        self.average = weight_average(self.model, config.ema) if config.ema else None
        streams = {"generator": self.generator, "noise": self.noise}
        self._state = RunState(self.model, self.optimizer, streams, self.average)
        self.history: list[EpochLog] = []

    def path(self, kind: str = "") -> Path:
        """Return the path of the best checkpoint, or of another ``kind``: ".last" or ".resume"."""
        return self.folder / f"{self.config.name}{kind}.safetensors"

    @property
    def result(self) -> Classifier:
        """What is validated and saved: the model, or the average of its weights where one is kept."""
        return self.model if self.average is None else cast(Classifier, self.average.module)

    def run(self, on_batch: OnBatch | None = None, on_epoch: OnEpoch | None = None) -> list[EpochLog]:
        """Train to the end; what a callback raises ends it, and ``resume`` goes on from the last whole epoch."""
        while len(self.history) < self.config.epochs:
            log = self._epoch(len(self.history), on_batch)
            best = not self.history or log.score > max(past.score for past in self.history)
            self.history.append(log)
            card = training_card(self.config, self.constants, self.parts, self.history, self.command)
            if best:
                save_checkpoint(self.path(), self.result, card)
            save_checkpoint(self.path(".last"), self.result, card)
            self._state.save(self.path(".resume"), self.config, self.parts, self.history)
            if on_epoch is not None:
                on_epoch(log)
        self.path(".resume").unlink(missing_ok=True)
        return self.history

    def _epoch(self, epoch: int, on_batch: OnBatch | None) -> EpochLog:
        started, size = time.perf_counter(), self.config.batch_size
        order = torch.randperm(len(self.train_set), generator=self.generator, device=self.device)
        batches = len(order) // size  # what is left over is passed by; every epoch has its own order
        sums = torch.zeros(2, device=self.device)
        self.model.train()
        for index in range(batches):
            rows = order[index * size : (index + 1) * size]
            sums += self._step(rows, (epoch + index / batches) / self.config.epochs)
            if on_batch is not None:
                on_batch(epoch, index + 1, batches)
        self.model.eval()
        result = self._validate()
        loss, term = (sums / batches).tolist()
        seconds = time.perf_counter() - started
        return EpochLog(epoch, loss, term, result.clean_accuracy, result.robust_accuracy, round(seconds, 4))

    def _step(self, rows: Tensor, progress: float) -> Tensor:
        """Take one optimiser step; return the loss and the LSP term."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * min(progress / PEAK + 0.01, (1 - progress) / (1 - PEAK))
        images = self.train_set.float(rows).contiguous(memory_format=torch.channels_last)
        images = augment(images, self.train_set.changes, self.generator) if config.augment else images
        images = noise_half(images, config.noise, self.noise) if config.noise else images
        loss, term = self._criterion(images, self.train_set.labels[rows], progress)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return torch.stack([loss.detach(), term.detach()])

    def _validate(self) -> Evaluation:
        images = self.held_out.float().contiguous(memory_format=torch.channels_last)
        return evaluate(self.result, images, self.held_out.labels, validation_attack(self.config))

    def resume(self) -> int:
        """Go back to the last whole epoch of a run; return how many are done, all of them if it was finished.

        Raises:
            CheckpointError: if the run was of another configuration or other images, or its file is damaged.
        """
        path = self.path(".resume")
        if path.exists():
            past: Past | None = self._state.load(path, self.asked, self.parts, self.device)
        else:  # a training that is done is not done again
            past = finished((self.path(), self.path(".last")), self.asked, self.constants, self.parts)
        if past is not None:
            self.config, self.history = past
            self._criterion = dataclasses.replace(self._criterion, config=past.config)
        return len(self.history)
