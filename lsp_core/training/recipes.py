"""How to train: one record holds every setting, and each data set has a recipe that both twins share."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_core.data import ImageDataset
from lsp_core.lsp.lsp import LSP
from lsp_core.models import MODELS
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.types import Precision, Record, check_fields, pick


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training depends on besides the data.

    Attributes:
        eps: Linf radius that the objective trains for and that held-out PGD attacks with, in pixel units.
        steps: PGD steps of adversarial training.
        eps_warmup: share of the training over which eps rises from 0.
        augment: random crops (4 pixels of padding) and flips.
        held_out: training images set apart to choose the best epoch; never test images.
        limit: use this many training images; None is all.
        precision: of the forward and backward passes; the weights stay float32.
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
        for name in ("eps", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name):g}, but it must be from 0 to 1 (pixels).")
        for name in ("ema", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name):g}, but it must be 0 or more and below 1.")
        for name in ("epochs", "batch_size", "steps", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but it must be 1 or more.")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit}, but it must be 1 or more.")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"lr is {self.lr:g}, but it must be above 0.")
        if self.lsp is not None and self.lsp.vicinity == "adversarial" and not objective.crafts:
            raise ValueError(
                f"the adversarial vicinity needs an objective that crafts examples, and {self.objective} crafts none: "
                "use the noise vicinity."
            )

    @property
    def name(self) -> str:
        """``<data set>-<model>-<objective>[-lsp]``; a folder gives its own name."""
        return f"{Path(self.dataset).name}-{self.model}-{self.objective}{'-lsp' if self.lsp else ''}"

    def to_record(self) -> Record:
        """Return the settings for JSON."""
        return dataclasses.asdict(self)


# Per data set: what every objective shares, then what each adds, then the structure term's settings for each.
SHARED: dict[str, Record] = {
    "digits": {"model": "cnn", "epochs": 60, "batch_size": 64, "held_out": 200},
    "mnist": {"model": "cnn", "epochs": 10, "precision": "bfloat16"},
    "cifar10": {"model": "preactresnet-small", "epochs": 12, "lr": 0.1, "augment": True, "precision": "bfloat16"},
}
OWN: dict[tuple[str, str], Record] = {
    ("digits", "standard"): {"eps": 32 / 255},
    ("digits", "pgd-at"): {"eps": 0.2},
    ("mnist", "standard"): {"eps": 0.1},
    ("mnist", "pgd-at"): {"eps": 0.3, "steps": 5, "epochs": 5},
    ("cifar10", "standard"): {"eps": 2 / 255},
    ("cifar10", "pgd-at"): {"eps": 8 / 255, "steps": 4, "epochs": 10},
}
# A quarter of each batch: the whole one adds 2 points on digits, none on MNIST, and costs four times as much.
NOISE: Record = {"vicinity": "noise", "share": 0.25}
CRAFTED: Record = {"vicinity": "adversarial", "share": 0.25}
STRUCTURE: dict[tuple[str, str], Record] = {
    ("digits", "standard"): {**NOISE, "weight": 200.0, "eps": 0.3},
    ("digits", "pgd-at"): {**CRAFTED, "weight": 20.0},
    ("mnist", "standard"): {**NOISE, "weight": 60.0, "eps": 0.3},
    ("mnist", "pgd-at"): {**CRAFTED, "weight": 10.0},
    ("cifar10", "standard"): {**NOISE, "weight": 100.0, "eps": 8 / 255},
    ("cifar10", "pgd-at"): {**CRAFTED, "weight": 10.0},
}
# The other terms compare images with neighbours in the batch, so they look at all of it; weights tried on digits.
OTHERS: dict[str, Record] = {
    "distribution": {"share": 1.0, "weight": 1.0},
    "laplacian": {"share": 1.0, "weight": 10.0},
    "reconstruction": {"share": 1.0, "weight": 10.0},
}


def recipe(data: ImageDataset, dataset: str, objective: str, lsp: Record | None, **changes: Any) -> TrainConfig:
    """Return the recipe of a data set and objective, with ``changes`` on top (None changes nothing).

    Data sets without a recipe of their own follow MNIST if grey, CIFAR-10 if colour.

    Args:
        data: the training split, whose shape and size decide for a data set without a recipe.
        dataset: its name or path.
        objective: one of ``OBJECTIVES``.
        lsp: settings of the regularizer that differ from the recipe's, None for a baseline.
        changes: fields of ``TrainConfig``.
    """
    pick("objective", objective, OBJECTIVES)
    like = dataset if dataset in SHARED else "mnist" if data.image_shape[0] == 1 else "cifar10"
    kin = "pgd-at" if OBJECTIVES[objective](1, 0.0).crafts else "standard"  # all that train on examples share a recipe
    settings: Record = {**SHARED[like], **OWN.get((like, kin), {}), "objective": objective}
    if like != dataset:
        settings["held_out"] = max(len(data.classes), min(settings.get("held_out", 1000), len(data) // 5))
    settings.update({key: value for key, value in changes.items() if value is not None})
    if lsp is not None:
        given = {key: value for key, value in lsp.items() if value is not None}
        term = OTHERS.get(given.get("term", "vicinity"), {})
        settings["lsp"] = LSP(**{"eps": settings["eps"], **STRUCTURE[like, kin], **term, **given})
        if "eps" in given and settings["lsp"].vicinity == "adversarial":
            raise ValueError(
                "eps of LSP is the radius of the noise ball, but the vicinity is adversarial: leave it out."
            )
    return TrainConfig(dataset=dataset, **settings)
