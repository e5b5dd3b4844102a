"""Our attacks against other people's: the time, and which examples each fools."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lsp_core.attacks import ATTACKS, PGD
from lsp_core.attacks.describe import label
from lsp_core.bench.pair import Extent, ModelPair
from lsp_core.bench.rivals import foolbox_fooled, input_gradient, plain_fooled
from lsp_core.bench.timing import Arm, Measurement, race
from lsp_core.radius import show_eps
from lsp_core.types import Attack, Record

STEPS = 20
PGD_LIMIT = {"plain": 0.5, "robust": 1.0}
ENSEMBLES = {"ours": "fast", "theirs": "autoattack"}
ENSEMBLE_LIMIT, POINTS = 0.2, 0.003  # a fifth of the time, and at most 0.3 points fewer fooled
DUELS = (
    ("ours", "foolbox", "foolbox LinfPGD"),
    ("half", "foolbox", "foolbox LinfPGD"),
    ("ours", "plain", "plain loop"),
)
PASS_BATCHES = (16, 128)


def pgd(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare PGD-20 with foolbox's and with a plain loop: the same steps, and a verdict at the end of each.

    Once with all in float32, and once with the way looked for in bfloat16, which decides nothing.
    """
    for which, model in pair.models.items():
        images, labels = pair.right(which, extent.images, extent.seed)
        # The plain model also at the radius that its data set is usually attacked with, where nothing is left of it.
        for eps in sorted({pair.eps[which], pair.eps["robust"]}):
            ours = PGD(eps, steps=STEPS, random_start=False)
            half = dataclasses.replace(ours, precision="bfloat16")
            plan = (model, images, labels, eps, ours.step_size, STEPS)
            arms = {
                "ours": functools.partial(fooled_by, ours, model, images, labels),
                "half": functools.partial(fooled_by, half, model, images, labels),
                "foolbox": functools.partial(foolbox_fooled, *plan),
                "plain": functools.partial(plain_fooled, *plan),
            }
            verdicts = {name: arm() for name, arm in arms.items()}
            timings = race(arms, extent.runs, device=extent.device, warm=False)
            for name, rival, title in DUELS:
                finding, figures = compare(verdicts[name], verdicts[rival])
                way = " by way of bfloat16" if name == "half" else ""
                yield Measurement(
                    "pgd",
                    f"PGD-{STEPS}{way}, {pair.dataset} {which}, eps {show_eps(eps)}, {len(images)} images",
                    title,
                    timings[name],
                    timings[rival],
                    finding,
                    figures,
                    PGD_LIMIT[which] if rival == "foolbox" else None,
                    figures["only_theirs"] == 0,
                )


def ensemble(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare our fast ensemble with AutoAttack standard, on the robust model."""
    model, eps = pair.models["robust"], pair.eps["robust"]
    images, labels = pair.right("robust", extent.referee_images, extent.seed)
    attacks = {arm: ATTACKS[name].make(eps, seed=extent.seed) for arm, name in ENSEMBLES.items()}
    verdicts: dict[str, Tensor] = {}

    def attack_with(name: str, attack: Attack) -> None:
        verdicts[name] = fooled_by(attack, model, images, labels)

    arms = {name: functools.partial(attack_with, name, attack) for name, attack in attacks.items()}
    # No uncounted first call, for AutoAttack takes minutes; one pass instead, so that nothing is set up on the clock.
    input_gradient(model, images, labels)
    timings = race(arms, extent.referee_runs, device=extent.device, warm=False)
    finding, figures = compare(verdicts["ours"], verdicts["theirs"])
    enough = figures["ours"] >= figures["theirs"] - POINTS * figures["n"]
    names = {arm: ATTACKS[name].short(label(attacks[arm])) for arm, name in ENSEMBLES.items()}
    what = f"{names['ours']}, {pair.dataset} robust, eps {show_eps(eps)}, {len(images)} images"
    times = (timings["ours"], timings["theirs"])
    yield Measurement("ensemble", what, names["theirs"], *times, finding, figures, ENSEMBLE_LIMIT, enough)


def passes(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare a step of PGD with the bare forward and backward pass that it cannot do without."""
    model, eps = pair.models["robust"], pair.eps["robust"]
    attack = PGD(eps, steps=STEPS, random_start=False, early_stop=False)
    for batch in PASS_BATCHES:
        images, labels = pair.right("robust", batch, extent.seed)

        def bare(images: Tensor = images, labels: Tensor = labels) -> None:
            for _ in range(STEPS):
                input_gradient(model, images, labels)

        arms: dict[str, Arm] = {"ours": functools.partial(attack, model, images, labels), "theirs": bare}
        timings = race(arms, extent.runs, device=extent.device)
        what = f"{STEPS} PGD steps, {pair.dataset} robust, batch of {len(images)}"
        yield Measurement("passes", what, f"{STEPS} bare passes", timings["ours"], timings["theirs"])


def fooled_by(attack: Attack, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return which images (N,) bool an attack fools, by a pass of its own: the time of a verdict includes it."""
    adversarial = attack(model, images, labels)
    with torch.no_grad():
        fooled: Tensor = model(adversarial).argmax(1) != labels
    return fooled


def compare(ours: Tensor, theirs: Tensor) -> tuple[str, Record]:
    """Return in words and in figures who fooled what, from two verdicts (N,) bool.

    >>> compare(torch.tensor([True, True, False]), torch.tensor([True, False, False]))[0]
    'fooled: ours 2, theirs 1 of 3; only ours 1, only theirs 0'
    """
    figures: Record = {
        "n": len(ours),
        "ours": int(ours.sum()),
        "theirs": int(theirs.sum()),
        "only_ours": int((ours & ~theirs).sum()),
        "only_theirs": int((theirs & ~ours).sum()),
    }
    words = "fooled: ours {ours}, theirs {theirs} of {n}; only ours {only_ours}, only theirs {only_theirs}"
    return words.format(**figures), figures
