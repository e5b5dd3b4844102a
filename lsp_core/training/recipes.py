"""How each data set is trained on: a new recipe is one entry of ``RECIPES``, and both twins share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lsp_core.data import ImageDataset
from lsp_core.lsp.lsp import LSP, NONE
from lsp_core.training.config import TrainConfig
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.types import Record, pick

__all__ = ["RECIPES", "Recipe", "TrainConfig", "recipe"]


@dataclass(frozen=True)
class Recipe:
    """The settings of one data set that differ from the defaults of ``TrainConfig`` and ``LSP``.

    Attributes:
        common: settings of every training.
        clean: what objectives add that train on the images as they are; ``clean_lsp`` are their settings of LSP.
        crafting: what objectives add that craft adversarial examples; ``crafting_lsp`` are their settings of LSP.
        other_lsp: what single objectives have otherwise in their settings of LSP.
    """

    common: Record
    clean: Record = field(default_factory=dict)
    clean_lsp: Record = field(default_factory=dict)
    crafting: Record = field(default_factory=dict)
    crafting_lsp: Record = field(default_factory=dict)
    other_lsp: dict[str, Record] = field(default_factory=dict)


# LSP's second pass is of a share of each batch: the whole one costs four times as much as a quarter and adds little.
NOISE: Record = {"vicinity": "noise", "share": 0.25, "neighbors": "correlation"}
CRAFTED: Record = {"vicinity": "adversarial", "share": 0.25, "neighbors": "correlation"}
NEAREST: Record = {"neighbors": "distribution", "k": 8}
# TRADES ties an adversarial example to its image by itself: there LSP has the neighbours' part alone.
NO_BALL: Record = {"ball": "none", "weight": 1.0, "neighbors": "correlation", "neighbors_weight": 0.5, "k": 16}
# What has not been studied with both parts yet is as the shipped twins have it.
NO_NEIGHBORS: Record = {"weight": 10.0, "neighbors": "none", "neighbors_weight": 0.0, "k": 8}

RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        {"model": "cnn", "epochs": 60, "batch_size": 64, "held_out": 200},
        clean={"eps": 32 / 255},
        clean_lsp={**NOISE, **NEAREST, "share": 0.4, "weight": 300.0, "eps": 0.3, "neighbors_weight": 0.3},
        crafting={"eps": 0.2},
        crafting_lsp={**CRAFTED, "weight": 20.0, "neighbors_weight": 0.05},
        other_lsp={"trades": NO_BALL},
    ),
    "mnist": Recipe(
        {"model": "cnn", "epochs": 10, "precision": "auto"},
        clean={"eps": 0.1},
        clean_lsp={**NOISE, "weight": 60.0, "eps": 0.3, "neighbors_weight": 0.003},
        crafting={"eps": 0.3, "steps": 5, "epochs": 5},
        crafting_lsp={**CRAFTED, **NO_NEIGHBORS},
    ),
    "cifar10": Recipe(
        {"model": "preactresnet-small", "epochs": 12, "lr": 0.1, "augment": True, "precision": "auto"},
        clean={"eps": 2 / 255},
        clean_lsp={**NOISE, "weight": 100.0, "eps": 8 / 255, "neighbors_weight": 0.002},
        crafting={"eps": 8 / 255, "steps": 4, "epochs": 10},
        crafting_lsp={**CRAFTED, **NO_NEIGHBORS},
        other_lsp={"trades": {**NO_BALL, "neighbors_weight": 0.1}},
    ),
}
GREY, COLOUR = "mnist", "cifar10"  # whose recipe a data set without one of its own follows

BALL_WEIGHT, NEIGHBORS_WEIGHT = 10.0, 0.1  # of a part that somebody asks for where the recipe has none

# How the terms of the neighbours' part weigh beside each other, and how many neighbours they look at; tried on digits.
NEIGHBORS: dict[str, tuple[float, int]] = {
    "correlation": (1.0, 16),
    "distribution": (30.0, 8),
    "laplacian": (300.0, 8),
    "reconstruction": (300.0, 8),
}


def recipe(data: ImageDataset, dataset: str, objective: str, lsp: Record | None, **changes: Any) -> TrainConfig:
    """Return the recipe of a data set and objective, with ``changes`` on top (None changes nothing).

    Data sets without a recipe of their own follow MNIST if grey, CIFAR-10 if colour, and hold out at most a fifth of
    their images.

    Args:
        data: the training split, whose shape and size decide for a data set without a recipe.
        dataset: its name or path.
        objective: one of ``OBJECTIVES``.
        lsp: settings of the regularizer that differ from the recipe's, None for a baseline.
        changes: fields of ``TrainConfig``.

    Raises:
        ValueError: if a name is unknown or a value cannot be meant.
    """
    crafts = pick("objective", objective, OBJECTIVES)(1, 0.0).crafts
    found = RECIPES.get(dataset) or RECIPES[GREY if data.image_shape[0] == 1 else COLOUR]
    settings: Record = {**found.common, **(found.crafting if crafts else found.clean), "objective": objective}
    if dataset not in RECIPES:
        settings["held_out"] = max(len(data.classes), min(settings.get("held_out", 1000), len(data) // 5))
        settings["augment"] = settings.get("augment", False) and bool(data.changes)
    settings.update({key: value for key, value in changes.items() if value is not None})
    if lsp is not None:
        own = {**(found.crafting_lsp if crafts else found.clean_lsp), **found.other_lsp.get(objective, {})}
        settings["lsp"] = _structure({"eps": settings["eps"], **own}, lsp)
    return TrainConfig(dataset=dataset, **settings)


def _structure(own: Record, lsp: Record) -> LSP:
    """Return the regularizer of a recipe, ``own``, with the settings that somebody gave on top."""
    given = {key: value for key, value in lsp.items() if value is not None}
    if (term := given.get("neighbors")) in NEIGHBORS and term != own["neighbors"]:
        (scale, k), usual = NEIGHBORS[term], NEIGHBORS.get(own["neighbors"])
        weight = own["neighbors_weight"] / usual[0] if usual else NEIGHBORS_WEIGHT / own["weight"]
        own = {**own, "neighbors_weight": weight * scale, "k": k}
    if (
        own.get("ball") == NONE and given.get("ball", NONE) != NONE
    ):  # the whole weighs more, the neighbours what they did
        own = {**own, "weight": own["weight"] * BALL_WEIGHT, "neighbors_weight": own["neighbors_weight"] / BALL_WEIGHT}
    structure = LSP(**{**own, **given})
    if "eps" in given and structure.ball != NONE and structure.vicinity == "adversarial":
        raise ValueError("eps of LSP is the radius of the noise ball, but the vicinity is adversarial: leave it out.")
    return structure
