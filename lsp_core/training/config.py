"""Every setting of a training, in one record that is checked when it is made."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass

from lsp_core.lsp.lsp import LSP, NONE
from lsp_core.models import MODELS
from lsp_core.precision import pick_precision
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.types import Precision, Record, check_fields, pick


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training depends on besides the data.

    A new setting gets a default that changes nothing: what was trained before then counts as trained with it.

    Attributes:
        dataset: name or path of the data set.
        eps: Linf radius that the objective trains for and that held-out PGD attacks with, in pixel units.
        steps: PGD steps of adversarial training.
        eps_warmup: share of the training over which eps rises from 0.
        augment: change the images at random, in the ways that the data set names (``ImageDataset.changes``).
        held_out: training images set apart to choose the best epoch; never test images.
        limit: use this many training images, the held-out ones among them; None is all.
        precision: of the forward and backward passes; the weights stay float32. "auto" leaves it to the machine, and
            what has been trained says which it was.
        ema: decay per step of the weight average that is then validated and saved; 0 keeps none.
        label_smoothing: share of each label that all classes divide among them, in every cross-entropy.
        noise: radius of uniform noise on half the images of each batch, in pixel units: augmentation without any term,
            and so the control for LSP's noise ball.
    """

    dataset: str
    model: str
    objective: str = "standard"
    lsp: LSP | None = None
    epochs: int = 10
    batch_size: int = 128
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    eps: float = 0.1
    steps: int = 7
    eps_warmup: float = 0.2
    augment: bool = False
    held_out: int = 1000
    limit: int | None = None
    precision: Precision = "float32"
    seed: int = 0
    ema: float = 0.0
    label_smoothing: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "TrainConfig")
        pick("model", self.model, MODELS)
        objective = pick("objective", self.objective, OBJECTIVES)(self.steps, self.label_smoothing)
        self._check_numbers()
        if (
            self.lsp is not None
            and self.lsp.ball != NONE
            and self.lsp.vicinity == "adversarial"
            and not objective.crafts
        ):
            raise ValueError(
                f"the adversarial vicinity needs an objective that crafts examples, and {self.objective} crafts none: "
                "use the noise vicinity."
            )

    def _check_numbers(self) -> None:
        for names, allowed, words in (
            (("eps", "noise"), lambda value: 0 <= value <= 1, "from 0 to 1 (pixels)"),
            (("eps_warmup",), lambda value: 0 <= value <= 1, "from 0 to 1"),
            (("momentum", "ema", "label_smoothing"), lambda value: 0 <= value < 1, "0 or more and below 1"),
            (("weight_decay",), lambda value: 0 <= value < math.inf, "finite and 0 or more"),
            (("lr",), lambda value: 0 < value < math.inf, "finite and above 0"),
            (("epochs", "batch_size", "steps", "held_out"), lambda value: value >= 1, "1 or more"),
            (("limit",), lambda value: value is None or value >= 1, "1 or more"),
            (("seed",), lambda value: 0 <= value < 2**32, "from 0 to 4294967295"),
        ):
            for name in names:
                if not allowed(value := getattr(self, name)):
                    shown = f"{value:g}" if isinstance(value, float) else value
                    raise ValueError(f"{name} is {shown}, but it must be {words}.")

    @property
    def name(self) -> str:
        """``<data set>-<model>-<objective>[-lsp]``; a folder gives its last name."""
        title = os.path.basename(os.path.abspath(self.dataset))  # also of "." and "fruit/.."
        return f"{title}-{self.model}-{self.objective}{'-lsp' if self.lsp else ''}"

    def on(self, device: str) -> TrainConfig:
        """Return this with the precision that a training begun on ``device`` has."""
        return dataclasses.replace(self, precision=pick_precision(self.precision, device))

    def as_begun(self, begun: TrainConfig) -> TrainConfig:
        """Return this with what it leaves to the machine as in ``begun``: equal to it, if that is what this asks for.

        So a training goes on as it was begun, wherever it goes on, and is known again.
        """
        return dataclasses.replace(self, precision=begun.precision) if self.precision == "auto" else self

    @property
    def essential(self) -> TrainConfig:
        """This, without what has no effect on the training: two that train alike are equal."""
        return dataclasses.replace(self, lsp=self.lsp.essential if self.lsp else None)

    def to_record(self) -> Record:
        """Return the settings for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_record(cls, record: Record) -> TrainConfig:
        """Return the configuration that ``to_record`` wrote, perhaps long ago: a setting added since has its default.

        So two records are of one training if and only if this makes equal configurations of them.

        Raises:
            ValueError: if the record has an unknown setting, lacks a needed one, or has a value that cannot be meant.
        """
        lsp = record.get("lsp")
        if lsp is not None and not isinstance(lsp, dict):
            raise ValueError(f"lsp of TrainConfig is {lsp!r}, but it must be a table or None.")
        for key in record:
            pick("setting of TrainConfig", key, {field.name: field for field in dataclasses.fields(cls)})
        for key in ("dataset", "model"):
            if key not in record:
                raise ValueError(f"the record of a training lacks {key}.")
        return cls(**{**record, "lsp": LSP.from_record(lsp) if lsp is not None else None})
