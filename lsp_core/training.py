"""The training loop: one for every objective, with or without LSP, on CPU or GPU."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lsp_core.attacks import PGD
from lsp_core.augmentation import augment
from lsp_core.checkpoint import Card, CheckpointError, read_card, save_checkpoint, save_tensors
from lsp_core.data import ImageDataset, stratified_split
from lsp_core.evaluation import Evaluation, evaluate
from lsp_core.models import build_model
from lsp_core.objectives import OBJECTIVES, Objective
from lsp_core.provenance import today, versions
from lsp_core.recipes import TrainConfig
from lsp_core.types import Classifier, Record

CLIP, PEAK = 5.0, 0.2
CONSTANTS: Record = {
    "optimizer": "SGD with Nesterov momentum",
    "schedule": f"linear to lr over the first {PEAK:.0%} of the steps, then linear to 0",
    "gradient_clip": CLIP,
    "augmentation": "shifts of up to 4 pixels and flips, where augment is on",
}  # what no recipe changes, for the card


@dataclass(frozen=True)
class EpochLog:
    """One epoch: mean training loss and (unweighted) LSP term, and held-out accuracies as fractions."""

    epoch: int
    loss: float
    lsp: float
    clean_accuracy: float
    robust_accuracy: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch has most of: the mean of clean and PGD accuracy, for every objective alike."""
        return (self.clean_accuracy + self.robust_accuracy) / 2


OnBatch = Callable[[int, int, int], None]  # epoch, batches done, batches in all
OnEpoch = Callable[[EpochLog], None]


class Trainer:
    """A training that can be cut off after any epoch and go on with the same result.

    Writes ``NAME.safetensors`` (best epoch), ``NAME.last.safetensors`` and, until done, ``NAME.resume.safetensors``.
    """

    def __init__(
        self, data: ImageDataset, config: TrainConfig, folder: str | Path, device: str = "cpu", command: str = ""
    ):
        """Build the model and set the held-out part apart.

        Raises:
            ValueError: if the data set is too small for the configuration.
        """
        if data.split != "train":
            raise ValueError(f"data is the {data.split} split, but a model is trained on the train split.")
        if config.limit is not None and config.limit < len(data):
            data = data.subset(stratified_split(data.labels, config.limit, config.seed)[1])
        if len(data) < config.held_out + config.batch_size:
            raise ValueError(
                f"{data.name} has {len(data)} training images, too few for held_out {config.held_out} and a batch of "
                f"{config.batch_size}."
            )
        kept, apart = stratified_split(data.labels, config.held_out, seed=0)
        self.config, self.device, self.command = config, device, command
        self.classes, self.image_shape = data.classes, data.image_shape
        self.train_set, self.held_out = data.subset(kept).to(device), data.subset(apart).to(device)
        pixels = self.train_set.images.float() / 255
        self.mean = tuple(round(value, 4) for value in pixels.mean((0, 2, 3)).tolist())
        self.std = tuple(round(max(value, 1e-3), 4) for value in pixels.std((0, 2, 3)).tolist())
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            model = build_model(config.model, self.image_shape, len(self.classes), self.mean, self.std)
        self.model: Classifier = model.to(device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=True
        )
        self.objective: Objective = OBJECTIVES[config.objective](config.steps)
        self.generator = torch.Generator(device).manual_seed(config.seed)
        # Of its own, so that twins see the same images in the same order whether or not noise is drawn.
        self.noise = torch.Generator(device).manual_seed(config.seed + 1)
        self.history: list[EpochLog] = []
        self.folder = Path(folder)

    def path(self, kind: str = "") -> Path:
        """Return the path of the best checkpoint, or of another ``kind``: ".last" or ".resume"."""
        return self.folder / f"{self.config.name}{kind}.safetensors"

    def run(self, on_batch: OnBatch | None = None, on_epoch: OnEpoch | None = None) -> list[EpochLog]:
        """Train to the end; what a callback raises ends it, and ``resume`` goes on from the last whole epoch."""
        while len(self.history) < self.config.epochs:
            log = self._epoch(len(self.history), on_batch)
            best = not self.history or log.score > max(past.score for past in self.history)
            self.history.append(log)
            card = self._card(log)
            if best:
                save_checkpoint(self.path(), self.model, card)
            save_checkpoint(self.path(".last"), self.model, card)
            self._save_state()
            if on_epoch is not None:
                on_epoch(log)
        self.path(".resume").unlink(missing_ok=True)
        return self.history

    def _epoch(self, epoch: int, on_batch: OnBatch | None) -> EpochLog:
        started, size = time.perf_counter(), self.config.batch_size
        order = torch.randperm(len(self.train_set), generator=self.generator, device=self.device)
        batches = len(order) // size  # the rest of each epoch is another one every time
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
        return EpochLog(epoch, loss, term, result.clean_accuracy, result.robust_accuracy, round(seconds, 1))

    def _step(self, rows: Tensor, progress: float) -> Tensor:
        """Take one optimiser step; return the loss and the LSP term."""
        config, lsp = self.config, self.config.lsp
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * min(progress / PEAK + 0.01, (1 - progress) / (1 - PEAK))
        images = self.train_set.float(rows).contiguous(memory_format=torch.channels_last)
        images = augment(images, self.generator) if config.augment else images
        labels = self.train_set.labels[rows]
        with torch.autocast(images.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            views = self._views(images, labels, progress)
            features = self.model.features(torch.cat(list(views.values())))
            sizes = [len(view) for view in views.values()]
            logits = dict(zip(views, self.model.head(features).float().split(sizes), strict=True))
        embedding = dict(zip(views, features.float().split(sizes), strict=True))
        loss = self.objective.loss(logits.get("clean"), logits.get("adversarial"), labels)
        term = torch.zeros_like(loss)
        if lsp is not None:
            part = slice(lsp.count(len(images)))  # of a batch in random order
            points, moved = views[lsp.vicinity][part], embedding[lsp.vicinity][part]
            term = lsp(images[part], embedding["clean"][part], points, moved)
            loss = loss + term * lsp.weight * min(1.0, progress / max(lsp.warmup, 1e-9))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        return torch.stack([loss.detach(), term.detach()])

    def _views(self, images: Tensor, labels: Tensor, progress: float) -> dict[str, Tensor]:
        """Return the batches that go through the model together.

        Together, because batch norm then treats an image and its eps-ball point alike, as it will in use. So the
        statistics of a twin come from both, and those of its baseline from the one batch that it trains on.
        """
        lsp, views = self.config.lsp, {}
        part = images[: lsp.count(len(images))] if lsp is not None else images[:0]
        if self.objective.needs_clean or lsp is not None:
            views["clean"] = images if self.objective.needs_clean else part
        if self.objective.crafts:
            eps = self.config.eps * min(1.0, progress / max(self.config.eps_warmup, 1e-9))
            seed = int(torch.randint(2**31, (1,), generator=self.generator, device=self.device))
            views["adversarial"] = self.objective.craft(self.model, images, labels, eps, seed)
        if lsp is not None and lsp.vicinity == "noise":
            views["noise"] = lsp.sample(part, self.noise)
        return views

    def _validate(self) -> Evaluation:
        images = self.held_out.float().contiguous(memory_format=torch.channels_last)
        return evaluate(self.model, images, self.held_out.labels, self._referee)

    @property
    def _referee(self) -> PGD:
        return PGD(self.config.eps, steps=10, seed=0)

    def _card(self, log: EpochLog) -> Card:
        config = self.config
        n = len(self.held_out)
        return Card(
            name=config.name,
            model=config.model,
            dataset=config.dataset,
            objective=config.objective,
            image_shape=self.image_shape,
            classes=self.classes,
            mean=self.mean,
            std=self.std,
            lsp=dataclasses.asdict(config.lsp) if config.lsp else None,
            config={
                **config.to_record(),
                **CONSTANTS,
                "history": [dataclasses.asdict(entry) for entry in self.history],
            },
            seed=config.seed,
            epoch=log.epoch + 1,
            held_out={
                "n": n,
                "clean_accuracy": log.clean_accuracy,
                "robust_accuracy": log.robust_accuracy,
                "attack": {"name": "PGD", **dataclasses.asdict(self._referee)},
                "chosen_by": "mean of clean and PGD accuracy, over the epochs",
            },
            versions=versions(),
            date=today(),
            command=self.command,
        )

    def _save_state(self) -> None:
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        for index, parameter in enumerate(self.model.parameters()):
            tensors[f"momentum.{index}"] = self.optimizer.state[parameter]["momentum_buffer"]
        tensors |= {"generator": self.generator.get_state(), "noise": self.noise.get_state()}
        state = {"config": self.config.to_record(), "history": [dataclasses.asdict(entry) for entry in self.history]}
        save_tensors(self.path(".resume"), tensors, {"state": json.dumps(state)})

    def resume(self) -> int:
        """Go back to the last whole epoch of a run; return how many are done, all of them if it was finished.

        Raises:
            CheckpointError: if the run was of another configuration, or its file is damaged.
        """
        path = self.path(".resume")
        if not path.exists():
            return self._finished()
        try:
            with safe_open(path, framework="pt", device=self.device) as file:
                state: Record = json.loads(file.metadata()["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if state["config"] == self._settings():
                self._restore(tensors)
        except (OSError, SafetensorError, RuntimeError, TypeError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{path} is no run that can go on here (on another device, perhaps): remove the file to start anew."
            ) from error
        if state["config"] != self._settings():
            raise CheckpointError(f"{path} belongs to a run with other settings: repeat those, or remove the file.")
        self.history = [EpochLog(**entry) for entry in state["history"]]
        return len(self.history)

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        self.model.load_state_dict(weights)
        for index, parameter in enumerate(self.model.parameters()):
            momentum = torch.empty_like(parameter).copy_(tensors[f"momentum.{index}"])  # keeps the memory format
            self.optimizer.state[parameter]["momentum_buffer"] = momentum
        self.generator.set_state(tensors["generator"].cpu())
        self.noise.set_state(tensors["noise"].cpu())

    def _finished(self) -> int:
        """Take the history from the last checkpoint if this very run was finished, so that it is not trained again."""
        try:
            config = dict(read_card(self.path(".last")).config)
        except CheckpointError:
            return 0
        history = config.pop("history", [])
        if config == {**self._settings(), **CONSTANTS} and len(history) == self.config.epochs:
            self.history = [EpochLog(**entry) for entry in history]
        return len(self.history)

    def _settings(self) -> Record:
        settings: Record = json.loads(json.dumps(self.config.to_record()))
        return settings
