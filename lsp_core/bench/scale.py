"""PreActResNet-18 on drawn images of CIFAR-10's shape: what attacks and adversarial training add to bare passes.

It needs no data set and no checkpoint, and is meant for a GPU; a processor does the same with a few images.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from lsp_core.attacks import PGD
from lsp_core.bench.pair import Extent, ModelPair
from lsp_core.bench.rivals import input_gradient
from lsp_core.bench.timing import Measurement, race
from lsp_core.models import build_model
from lsp_core.precision import pick_precision
from lsp_core.training.objectives import OBJECTIVES

EPS, STEPS, CLASSES, SHAPE = 8 / 255, 10, 10, (3, 32, 32)
ON_GPU, ELSEWHERE = 512, 1  # images at once
TRAINING_RATE, ATTACK_RATE = 0.85, 0.9  # of the images a second that bare passes make


def large_network(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:  # noqa: ARG001
    """Compare ten steps of PGD with ten bare passes, and a step of adversarial training with the passes that it is."""
    place, half = extent.device, pick_precision("auto", extent.device) == "bfloat16"
    count = ON_GPU if place == "cuda" else ELSEWHERE
    generator = torch.Generator().manual_seed(extent.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(extent.seed)
        model: nn.Module = build_model("preactresnet18", SHAPE, CLASSES, (0.5,) * 3, (0.25,) * 3)
    model = model.to(place).to(memory_format=torch.channels_last)
    images = torch.rand(count, *SHAPE, generator=generator).to(place).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (count,), generator=generator).to(place)
    precise = functools.partial(torch.autocast, place, torch.bfloat16, enabled=half)
    attack = PGD(EPS, steps=STEPS, early_stop=False)
    objective = OBJECTIVES["pgd-at"](STEPS, 0.0)

    def bare(steps: int) -> None:
        with precise():
            for _ in range(steps):
                input_gradient(model, images, labels)

    def update(loss: Tensor) -> None:
        model.zero_grad(set_to_none=True)
        loss.backward()

    def attacked() -> Tensor:
        with precise():
            return attack(model.eval(), images, labels)

    def trained() -> None:
        with precise():
            crafted = objective.craft(model, images, labels, EPS, extent.seed)
            loss = functional.cross_entropy(model.train()(crafted).float(), labels)
        update(loss)

    def passes() -> None:
        model.eval()
        bare(STEPS)
        with precise():
            loss = functional.cross_entropy(model.train()(images).float(), labels)
        update(loss)

    def bare_attack() -> None:
        model.eval()
        bare(STEPS)

    arms = {"attack": attacked, "bare": bare_attack, "training": trained, "passes": passes}
    timings = race(arms, extent.runs if place == "cuda" else 1, device=place, warm=place == "cuda")
    title = f"preactresnet18, batch of {count}, {'bfloat16' if half else 'float32'}"
    limits = (1 / ATTACK_RATE, 1 / TRAINING_RATE) if place == "cuda" else (None, None)
    yield Measurement(
        "scale",
        f"{STEPS} PGD steps, {title}",
        f"{STEPS} bare passes",
        timings["attack"],
        timings["bare"],
        limit=limits[0],
    )
    yield Measurement(
        "scale",
        f"PGD-{STEPS} adversarial training step, {title}",
        f"{STEPS + 1} bare passes, one of them to the weights",
        timings["training"],
        timings["passes"],
        limit=limits[1],
    )
